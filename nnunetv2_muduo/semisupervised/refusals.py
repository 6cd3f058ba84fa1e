"""What the semi-supervised trainers do not support is refused before anything is written, in one sentence each."""

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.errors import UserError


def refuse_unsupported(trainer_name: str, plans: dict, configuration: str, dataset_json: dict) -> None:
    """Check a configuration before training.

    Raises:
        NotImplementedError: for 2d configurations, cascades, region-based datasets.
        UserError: if the plans have no such configuration.
    """
    if configuration not in plans["configurations"]:
        known = ", ".join(plans["configurations"])
        raise UserError(f"The plans have no configuration '{configuration}'; use one of: {known}.")
    plans_manager = PlansManager(plans)
    configuration_manager = plans_manager.get_configuration(configuration)
    if len(configuration_manager.patch_size) != 3:
        raise NotImplementedError(
            f"{trainer_name} needs a 3d configuration because its teachers are 3d; '{configuration}' is 2d. "
            "Use 3d_fullres or 3d_lowres."
        )
    if configuration_manager.previous_stage_name is not None:
        raise NotImplementedError(
            f"{trainer_name} does not support cascades; '{configuration}' follows "
            f"'{configuration_manager.previous_stage_name}'. Use 3d_fullres or 3d_lowres."
        )
    if plans_manager.get_label_manager(dataset_json).has_regions:
        raise NotImplementedError(
            f"{trainer_name} does not support region-based labels because pseudo-labels come organ by organ; "
            "give every label of dataset.json one integer."
        )


def unlabelled_batch_size_per_process(total: int, world_size: int) -> int:
    """Unlabelled patches a step for one process of `world_size`.

    Raises:
        UserError: if a process would get fewer than two, because the consensus filter ranks patches against each other.
    """
    per_process = total // world_size
    if per_process < 2:
        raise UserError(
            f"unlabelled_batch_size is {total} for {world_size} process(es), but each needs at least 2 unlabelled "
            f"patches a step to rank them; set it with: muduo plan -d ID --set unlabelled_batch_size={2 * world_size}"
        )
    return per_process
