"""The weights of the best validation of a training, kept beside its checkpoint."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnunetv2_muduo.checkpoint_files import are_weights, mismatches, not_finite, read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing

BEST = "best.pth"


def keep_weights(folder: Path, teacher: nn.Module, *, step: int) -> None:
    """Write the teacher's weights as those of the best validation, which was made at this step."""
    with replacing(folder / BEST) as partial_file:
        torch.save({"step": step, "model_state_dict": teacher.state_dict()}, partial_file)


def are_kept(folder: Path, *, step: int) -> bool:
    """Whether the weights of this step are the ones that are kept; False for a damaged file, which is written anew."""
    return _kept(folder, step) is not None


def load_kept(folder: Path, teacher: nn.Module, *, step: int) -> bool:
    """Put the weights of the best validation into the teacher.

    Args:
        folder: of the training.
        teacher: of the training's architecture.
        step: at which that validation was made.

    Returns:
        False, with the teacher left as it is, where the weights of that step are not kept: they were deleted or
        damaged, or an earlier version of this package made that validation.
    """
    weights = _kept(folder, step)
    if weights is None or mismatches(teacher.state_dict(), weights) or not_finite(weights):
        return False
    teacher.load_state_dict(weights)
    return True


def _kept(folder: Path, step: int) -> dict[str, Any] | None:
    try:
        kept = read_checkpoint(folder / BEST) if (folder / BEST).is_file() else {}
    except UserError:
        return None
    weights, made_at = kept.get("model_state_dict"), kept.get("step")
    return weights if type(made_at) is int and made_at == step and are_weights(weights) else None
