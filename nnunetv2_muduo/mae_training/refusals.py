"""What pretraining does not support is refused before anything is written, in one sentence each."""

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.plain_configuration import plain_3d_configuration

_MAY_CHANGE = ("report_every",)  # everything else decides what is learnt, or what the validation loss means


def refuse_unsupported(trainer_name: str, plans: dict, configuration: str, fold: int | str) -> None:
    """Check a configuration before pretraining.

    Raises:
        NotImplementedError: for 2d configurations, cascades, and folds other than "all".
        UserError: if the plans have no such configuration.
    """
    plain_3d_configuration(trainer_name, plans, configuration, because="the blocks that it hides are 3d")
    if fold != "all":
        raise NotImplementedError(
            f"{trainer_name} knows no folds, because it learns from no label: it trains on all cases but those that it "
            f"holds out for its own validation loss. Use the fold 'all' instead of {fold}."
        )


def refuse_to_segment(*, asked_to_train: bool) -> None:
    """Raise UserError when nnU-Net wants the network in order to predict: label maps made of it would mean nothing."""
    if not asked_to_train:
        raise UserError(
            "This model was pretrained as a masked autoencoder, which reconstructs images and segments nothing; use its "
            "checkpoint with -pretrained_weights in a training that segments, and predict with what that trained."
        )


def refuse_unknown_channels(settings: MAESettings, number: int) -> None:
    """Raise UserError when the setting `channels` names a channel that the dataset does not have."""
    if settings.channels is not None and max(settings.channels) >= number:
        raise UserError(
            f"Setting 'channels' is {list(settings.channels)}, but the dataset has {number} channel(s), counted from 0."
        )


def refuse_changed_settings(checkpoint_plans: dict, plans: dict) -> None:
    """A resumed pretraining must go on as it began.

    Raises:
        UserError: naming the setting that differs between the checkpoint and the plans.
    """
    before, now = (MAESettings.from_plans(each).to_dict() for each in (checkpoint_plans, plans))
    for key in before:
        if before[key] != now[key] and key not in _MAY_CHANGE:
            raise UserError(
                f"Cannot continue: 'mae.{key}' was {before[key]} when this pretraining began and is now {now[key]}; "
                "set it back with muduo plan, or start anew without --c (from this checkpoint's weights with "
                "-pretrained_weights)."
            )
