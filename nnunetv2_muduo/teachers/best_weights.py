"""The weights of the best validation of a training, kept beside its checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.files import replacing
from nnunetv2_muduo.teachers.validation import best_step

BEST = "best.pth"


def keep_if_best(folder: Path, teacher: nn.Module, validation: Sequence[Mapping[str, Any]]) -> None:
    """Write the teacher's weights where the last validation is the best so far.

    Args:
        folder: of the training.
        teacher: as it was validated.
        validation: rows of all validations, the last one's among them.
    """
    now = max(row["step"] for row in validation)
    if best_step(validation) == now:
        with replacing(folder / BEST) as partial_file:
            torch.save({"step": now, "model_state_dict": teacher.state_dict()}, partial_file)


def load_best(folder: Path, teacher: nn.Module, validation: Sequence[Mapping[str, Any]]) -> int | None:
    """Put the weights of the best validation into the teacher.

    Args:
        folder: of the training.
        teacher: of the training's architecture; left as it is where nothing is loaded.
        validation: rows of all validations.

    Returns:
        The step they are of; None where none are kept: nothing was held out, or an earlier version of this package
        made that validation.

    Raises:
        UserError: naming the file, if it is cut short or no checkpoint.
    """
    if not validation or not (folder / BEST).is_file():
        return None
    kept = read_checkpoint(folder / BEST)
    if kept.get("step") != best_step(validation):
        return None
    teacher.load_state_dict(kept["model_state_dict"])
    return kept["step"]
