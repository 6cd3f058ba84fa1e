"""The settings of masked-autoencoder pretraining: one frozen dataclass, read once from `plans["mae"]`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.pretraining.losses import VISIBLE_WEIGHT
from nnunetv2_muduo.pretraining.masking import BLOCK, RATIO
from nnunetv2_muduo.pretraining.schedules import FINAL_RATE, INITIAL_RATE
from nnunetv2_muduo.setting_rules import (
    Choice,
    Different,
    Range,
    Real,
    Sizes,
    Switch,
    Whole,
    check_settings,
    setting,
    settings_from,
    shown,
)
from nnunetv2_muduo.swin_sizes import SIZES

_EDGE = 0.01  # of the zoom: nobody wants a hundredth or a hundredfold of a scan


@dataclass(frozen=True)
class MAESettings:
    """The settings of `nnUNetTrainerPETCTMAE`; None means "derived". Published numbers are those of arXiv 2605.21835.

    Attributes:
        block: (z, y, x) voxels of the blocks that are hidden (published: 12, 16, 16).
        ratio: share of the blocks that are hidden, drawn for each channel by itself (published: 0.5).
        visible_weight: weight of the error on visible voxels against that on hidden ones (published: 0.2).
        channels: input channels that are shown and reconstructed; the network sees 0 in all others, so that what one
            modality teaches can be compared. None: all.
        initial_lr, final_lr: ends of the cosine of AdamW's learning rate, epoch by epoch (published: 5e-4, 1e-6).
        weight_decay: of AdamW (published: 1e-5).
        clip_norm: longest gradient of a step (published: 1).
        num_epochs: training epochs (published: 200).
        iterations_per_epoch, val_iterations_per_epoch: steps of an epoch; nnU-Net's 250 and 50.
        batch_size: patches a step, of all GPUs together (published: 16); None: the plan's, which fine-tuning has too.
        zoom: smallest and largest factor of the zoom augmentation (published: 0.9 to 1.1).
        zoom_probability: share of the patches that are zoomed (published: 0.5).
        held_out: share of the cases that only the validation loss sees, at least one case.
        use_labelled: whether labelled cases are trained on, too; their labels never are.
        report_every: epochs between two pictures of a reconstruction.
        swin: size of the network of nnUNetTrainerPETCTMAESwin and nnUNetTrainerPETCTSwin; no other trainer looks at it.
        seed: of weights, masks, crops and zoom; None: drawn once and kept in the checkpoints.

    Raises:
        UserError: for a mistyped or out-of-range value, naming the key, the value and what is allowed.
    """

    block: tuple[int, ...] = setting(BLOCK, Sizes(3, 1))
    ratio: float = setting(RATIO, Real(0.0, 1.0, open_below=True))
    visible_weight: float = setting(VISIBLE_WEIGHT, Real(0.0, 100.0))
    channels: tuple[int, ...] | None = setting(None, Different(), optional=True)
    initial_lr: float = setting(INITIAL_RATE, Real(0.0, 1.0, open_below=True))
    final_lr: float = setting(FINAL_RATE, Real(0.0, 1.0))
    weight_decay: float = setting(1e-5, Real(0.0, 1.0))
    clip_norm: float = setting(1.0, Real(0.0, 1e6, open_below=True))
    num_epochs: int = setting(200, Whole(1))
    iterations_per_epoch: int = setting(250, Whole(1))
    val_iterations_per_epoch: int = setting(50, Whole(1))
    batch_size: int | None = setting(None, Whole(1), optional=True)
    zoom: tuple[float, ...] = setting((0.9, 1.1), Range(_EDGE, 1 / _EDGE))
    zoom_probability: float = setting(0.5, Real(0.0, 1.0))
    held_out: float = setting(0.1, Real(0.0, 0.9))
    use_labelled: bool = setting(True, Switch())
    report_every: int = setting(10, Whole(1))
    swin: str = setting("small", Choice(tuple(SIZES)))
    seed: int | None = setting(None, Whole(0), optional=True)

    def __post_init__(self) -> None:
        check_settings(self)
        if self.final_lr > self.initial_lr:
            raise UserError(
                f"Setting 'final_lr' is {shown(self.final_lr)}, but must not be above 'initial_lr' "
                f"({shown(self.initial_lr)}), at which the learning rate begins to fall."
            )

    @classmethod
    def from_plans(cls, plans: Mapping[str, Any]) -> "MAESettings":
        """Read `plans["mae"]`, which may be missing; `plans` itself is left alone."""
        given = plans.get("mae", {})
        if not isinstance(given, Mapping):
            raise UserError(f'plans["mae"] must be a table of settings, not {shown(given)}.')
        return settings_from(cls, given)

    def to_dict(self) -> dict[str, Any]:
        """All settings as a table that JSON can hold; tuples are lists."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
