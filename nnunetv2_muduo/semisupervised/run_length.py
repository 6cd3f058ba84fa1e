"""How long a training is and which seed it has: nnU-Net's defaults unless the settings say otherwise."""

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.seeding import seed_everything
from nnunetv2_muduo.settings import Settings

SHAPES_THE_SCHEDULE = (
    "num_epochs",
    "iterations_per_epoch",
    "warmup_epochs",
    "ramp_fraction",
    "consistency_weight",
    "optimizer",
    "initial_lr",
    "ema_decay",
    "predict_with",  # checkpoint_best.pth is the best of one of the two
)


def set_run_length(trainer: nnUNetTrainer, settings: Settings, *, epochs: int | None) -> None:
    """Apply the settings of iterations and seed, and a number of epochs; short runs are saved more often."""
    trainer.num_epochs = epochs or trainer.num_epochs
    trainer.num_iterations_per_epoch = settings.iterations_per_epoch or trainer.num_iterations_per_epoch
    trainer.num_val_iterations_per_epoch = settings.val_iterations_per_epoch or trainer.num_val_iterations_per_epoch
    trainer.save_every = min(trainer.save_every, max(1, trainer.num_epochs // 10))
    if settings.seed is not None:
        seed_everything(settings.seed)  # the initial student; DDP would bring all to the first process's anyway


def refuse_changed_schedule(checkpoint_plans: dict, trainer: nnUNetTrainer) -> None:
    """A resumed training must follow the schedule it began with.

    Raises:
        UserError: if a setting that shapes the schedule differs between the checkpoint and the plans.
    """
    before, now = Settings.from_plans(checkpoint_plans), Settings.from_plans(trainer.plans_manager.plans)
    for key in SHAPES_THE_SCHEDULE:
        if getattr(before, key) != getattr(now, key):
            raise UserError(
                f"Cannot continue: '{key}' was {getattr(before, key)} when this training began and is now "
                f"{getattr(now, key)}, which would change its schedule; set it back with muduo plan, or start anew "
                "without --c (from this checkpoint's weights with -pretrained_weights)."
            )
