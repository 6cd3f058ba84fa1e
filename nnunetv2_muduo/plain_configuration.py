"""Which of nnU-Net's configurations our trainers work on: three dimensions, one stage, and nothing in it misspelt."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.nnunet_files import check_entries
from nnunetv2_muduo.nnunet_folders import check_configuration

_INTENSITIES = "foreground_intensity_properties_per_channel"
_OF_CT = ("mean", "std", "percentile_00_5", "percentile_99_5")
_REMEDY = "Use 3d_fullres or 3d_lowres."
_OF_PREPARATION = ("data_identifier", "preprocessor_name", "spacing", "normalization_schemes", "use_mask_for_norm",
                   "resampling_fn_data", "resampling_fn_data_kwargs")  # fmt: skip


def plain_3d_configuration(trainer_name: str, plans: dict, configuration: str, *, because: str) -> ConfigurationManager:
    """The configuration of these plans, of three dimensions and without an earlier stage.

    Args:
        trainer_name: for the messages.
        plans: nnU-Net's plans.
        configuration: name of one of them.
        because: why the trainer needs three dimensions, such as "its teachers are 3d".

    Raises:
        UnsupportedError: for 2d configurations and cascades.
        UserError: if the plans have no such configuration.
    """
    check_configuration(plans, configuration)
    manager = PlansManager(plans).get_configuration(configuration)
    if len(manager.patch_size) != 3:
        raise UnsupportedError(
            f"{trainer_name} needs a 3d configuration because {because}; '{configuration}' is 2d. {_REMEDY}"
        )
    if manager.previous_stage_name is not None:
        raise UnsupportedError(
            f"{trainer_name} does not support cascades; '{configuration}' follows '{manager.previous_stage_name}'. "
            f"{_REMEDY}"
        )
    return manager


def check_preparation(plans: dict, configuration: str) -> None:
    """Raise UserError unless nnU-Net finds all that prepares a scan by a configuration of these plans."""
    check_configuration(plans, configuration)
    check_entries(plans, configuration, _OF_PREPARATION)
    with naming_bad_plans(plans, configuration):
        manager = PlansManager(deepcopy(plans))
        resolved = manager.get_configuration(configuration)
        if None in (manager.image_reader_writer_class, resolved.preprocessor_class, resolved.resampling_fn_data):
            raise ValueError("a reader, preprocessor or function is called as none of nnU-Net's")
        if len(resolved.use_mask_for_norm) < len(resolved.normalization_schemes):
            raise ValueError("use_mask_for_norm has fewer entries than normalization_schemes")
        if len(manager.transpose_forward) != len(manager.transpose_backward):
            raise ValueError("transpose_forward and transpose_backward are of different lengths")
    _check_intensities(plans, resolved.normalization_schemes)


def _check_intensities(plans: dict, schemes: Sequence[str]) -> None:
    """Raise UserError where the plans do not tell of a channel what nnU-Net looks up to normalise it."""
    told = plans.get(_INTENSITIES, {})
    for channel, scheme in enumerate(schemes):
        needed = _OF_CT if scheme == "CTNormalization" else ()
        numbers = told.get(str(channel))  # looked up whatever the scheme needs of it
        if numbers is None or any(key not in numbers for key in needed):
            raise UserError(
                f"The plans {plans.get('plans_name', '')} do not tell the intensities of channel {channel} "
                f"({_INTENSITIES}), by which {scheme} normalises it; plan the dataset again with "
                "nnUNetv2_plan_and_preprocess."
            )


@contextmanager
def naming_bad_plans(plans: dict, configuration: str) -> Iterator[None]:
    """What nnU-Net raises inside, of whatever kind, is a UserError that names the plans."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # nnU-Net looks classes up by name and hands them all that the plans say
        reason = (str(error).strip().splitlines() or [""])[0]
        raise UserError(
            f"nnU-Net can make nothing of configuration '{configuration}' of the plans {plans.get('plans_name', '')} "
            f"({type(error).__name__}: {reason}); plan the dataset again with nnUNetv2_plan_and_preprocess."
        ) from error
