"""How long a training is and which seed it has: nnU-Net's defaults unless the settings say otherwise."""

from collections.abc import Sequence
from dataclasses import asdict

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.training.seeding import seed_everything

SCHEDULE = ("num_epochs", "iterations_per_epoch", "optimizer", "initial_lr")


def set_run_length(trainer: nnUNetTrainer, settings: Settings, *, epochs: int | None) -> None:
    """Apply the settings of iterations and seed, and a number of epochs; short runs are saved more often."""
    trainer.num_epochs = epochs or trainer.num_epochs
    trainer.num_iterations_per_epoch = settings.iterations_per_epoch or trainer.num_iterations_per_epoch
    trainer.num_val_iterations_per_epoch = settings.val_iterations_per_epoch or trainer.num_val_iterations_per_epoch
    trainer.save_every = min(trainer.save_every, max(1, trainer.num_epochs // 10))
    if settings.seed is not None:
        seed_everything(settings.seed)  # the initial student; DDP would bring all to the first process's anyway


def other_optimizer(checkpoint_plans: dict, plans: dict) -> bool:
    """Whether a training's optimiser was of another kind, then and now; its state is of no use then."""
    return Settings.from_plans(checkpoint_plans).optimizer != Settings.from_plans(plans).optimizer


def refuse_changed_schedule(checkpoint_plans: dict, plans: dict, keys: Sequence[str]) -> None:
    """A resumed training must follow the schedule it began with.

    Args:
        checkpoint_plans, plans: then and now.
        keys: settings that shape the schedule, such as `SCHEDULE`.

    Raises:
        UserError: if one of them differs.
    """
    before, now = Settings.from_plans(checkpoint_plans), Settings.from_plans(plans)
    for key in keys:
        if getattr(before, key) != getattr(now, key):
            raise UserError(
                f"Cannot continue: '{key}' was {getattr(before, key)} when this training began and is now "
                f"{getattr(now, key)}, which would change its schedule; set it back with muduo plan, or start anew "
                "without --c (from this checkpoint's weights with -pretrained_weights)."
            )


def changed_settings(checkpoint_plans: dict, plans: dict) -> list[str]:
    """Each setting that was another when a training began, with both values, to be told where it goes on."""
    before, now = asdict(Settings.from_plans(checkpoint_plans)), asdict(Settings.from_plans(plans))
    return [f"{key} from {before[key]} to {now[key]}" for key in now if before[key] != now[key]]
