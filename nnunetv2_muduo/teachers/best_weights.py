"""The weights of the best validation of a training, kept beside its checkpoint."""

from pathlib import Path

import torch
from torch import nn

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing

BEST = "best.pth"


def keep_weights(folder: Path, teacher: nn.Module, *, step: int) -> None:
    """Write the teacher's weights as those of the best validation, which was made at this step."""
    with replacing(folder / BEST) as partial_file:
        torch.save({"step": step, "model_state_dict": teacher.state_dict()}, partial_file)


def are_kept(folder: Path, *, step: int) -> bool:
    """Whether the weights of this step are the ones that are kept; False for a damaged file, which is written anew."""
    try:
        return (folder / BEST).is_file() and read_checkpoint(folder / BEST).get("step") == step
    except UserError:
        return False


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
    if not are_kept(folder, step=step):
        return False
    teacher.load_state_dict(read_checkpoint(folder / BEST)["model_state_dict"])
    return True
