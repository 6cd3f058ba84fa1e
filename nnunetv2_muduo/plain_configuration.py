"""Which of nnU-Net's configurations our trainers work on: three dimensions, one stage."""

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_muduo.nnunet_folders import check_configuration

_REMEDY = "Use 3d_fullres or 3d_lowres."


def plain_3d_configuration(trainer_name: str, plans: dict, configuration: str, *, because: str) -> ConfigurationManager:
    """The configuration of these plans, of three dimensions and without an earlier stage.

    Args:
        trainer_name: for the messages.
        plans: nnU-Net's plans.
        configuration: name of one of them.
        because: why the trainer needs three dimensions, such as "its teachers are 3d".

    Raises:
        NotImplementedError: for 2d configurations and cascades.
        UserError: if the plans have no such configuration.
    """
    check_configuration(plans, configuration)
    manager = PlansManager(plans).get_configuration(configuration)
    if len(manager.patch_size) != 3:
        raise NotImplementedError(
            f"{trainer_name} needs a 3d configuration because {because}; '{configuration}' is 2d. {_REMEDY}"
        )
    if manager.previous_stage_name is not None:
        raise NotImplementedError(
            f"{trainer_name} does not support cascades; '{configuration}' follows '{manager.previous_stage_name}'. "
            f"{_REMEDY}"
        )
    return manager
