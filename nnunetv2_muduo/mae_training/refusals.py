"""What pretraining does not support is refused before anything is written, in one sentence each."""

from copy import deepcopy
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.cases.freshness import PREPROCESSING_KEYS
from nnunetv2_muduo.errors import UnsupportedError, UserError, listed
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.plain_configuration import plain_3d_configuration

_MAY_CHANGE = ("report_every",)  # everything else decides what is learnt, or what the validation loss means
# of a configuration, beside batch size and network: patches, and how nnU-Net prepares the scans they are cut from
_PLANNED = ("patch_size", *(key for key in PREPROCESSING_KEYS if not key.startswith("resampling_fn_seg")))
_SCALED_BY_FOREGROUND = "CTNormalization"
_START_ANEW = "start anew without --c (from this checkpoint's weights with -pretrained_weights)"


def refuse_unsupported(trainer_name: str, plans: dict, configuration: str, fold: int | str) -> None:
    """Check a configuration before pretraining.

    Raises:
        UnsupportedError: for 2d configurations, cascades, and folds other than "all".
        UserError: if the plans have no such configuration.
    """
    plain_3d_configuration(trainer_name, plans, configuration, because="the blocks that it hides are 3d")
    if fold != "all":
        raise UnsupportedError(
            f"{trainer_name} knows no folds, because it learns from no label: it trains on all cases but those that it "
            f"holds out for its own validation loss. Use the fold 'all' instead of {fold}."
        )


def refuse_to_segment(*, asked_to_train: bool) -> None:
    """Raise UserError when nnU-Net wants the network in order to predict: label maps made of it would mean nothing."""
    if not asked_to_train:
        raise UserError(
            "This model was pretrained as a masked autoencoder: it reconstructs images and segments nothing; use its "
            "checkpoint with -pretrained_weights in a training that segments, and predict with what that trained."
        )


def refuse_unknown_channels(settings: MAESettings, number: int) -> None:
    """Raise UserError when the setting `channels` names a channel that the dataset does not have."""
    if settings.channels is not None and max(settings.channels) >= number:
        raise UserError(
            f"Setting 'channels' is {list(settings.channels)}, but the dataset has {number} channel(s), counted from 0."
        )


def refuse_changed_settings(checkpoint_plans: dict, plans: dict, configuration: str) -> None:
    """A resumed pretraining must go on as it began: same settings, patches, batches and network.

    Raises:
        UserError: naming what differs between the checkpoint's plans and those of today.
    """
    before, now = (_what_shapes_it(each, configuration) for each in (checkpoint_plans, plans))
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            raise UserError(
                f"Cannot continue: '{key}' was {before.get(key)} when this pretraining began and is now "
                f"{now.get(key)}; set it back {_where(key)}, or {_START_ANEW}."
            )


def refuse_changed_cases(before: dict[str, str], now: dict[str, str]) -> None:
    """A resumed pretraining must go on with the cases that it began with.

    Args:
        before, now: case -> what it is for, see `CaseSplit.roles`.

    Raises:
        UserError: naming some cases that came, went or are for something else now.
    """
    told = {
        "new": [case for case in now if case not in before],
        "gone": [case for case in before if case not in now],
        "moved between training and validation": [case for case in now if before.get(case, now[case]) != now[case]],
    }
    if any(told.values()):
        changed = "; ".join(f"{what}: {listed(cases)}" for what, cases in told.items() if cases)
        raise UserError(
            f"Cannot continue: the cases are not those that this pretraining began with ({changed}); put them back as "
            f"they were, or {_START_ANEW}."
        )


def _what_shapes_it(plans: dict, configuration: str) -> dict[str, Any]:
    """Name -> value of everything in plans that decides what is learnt, or what the validation loss means."""
    settings = MAESettings.from_plans(plans)
    planned = PlansManager(deepcopy(plans)).get_configuration(configuration).configuration
    kept = {f"mae.{key}": value for key, value in settings.to_dict().items() if key not in _MAY_CHANGE}
    kept |= {key: planned.get(key) for key in _PLANNED}
    kept["transpose_forward"] = plans.get("transpose_forward")
    intensities = plans.get("foreground_intensity_properties_per_channel", {})
    for channel, scheme in enumerate(planned["normalization_schemes"]):
        if scheme == _SCALED_BY_FOREGROUND:
            kept[f"intensities of channel {channel}"] = intensities.get(str(channel))
    if settings.batch_size is None:
        kept["batch_size"] = planned["batch_size"]
    architecture = planned["architecture"]
    arguments = {f"architecture.{key}": value for key, value in architecture["arch_kwargs"].items()}
    return kept | {"architecture": architecture["network_class_name"]} | arguments


def _where(key: str) -> str:
    return "with muduo plan" if key.startswith("mae.") else "in the plans file"
