"""nnU-Net's checkpoints with entries of our own, written whole or not at all."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing

STATE_KEY = "mae_state"  # of a checkpoint: what a resumed pretraining needs beyond nnU-Net's own entries


def save_with(entries: Mapping[str, Any], save: Callable[[Any], object], path: Path) -> None:
    """Write the checkpoint that `save` writes to the file it is given, with further entries.

    A kill while writing leaves the checkpoint before.
    """
    buffer = io.BytesIO()
    save(buffer)  # what goes into nnU-Net's checkpoint stays its own business
    buffer.seek(0)
    checkpoint = torch.load(buffer, map_location="cpu", weights_only=False)
    with replacing(path) as partial:
        torch.save({**checkpoint, **entries}, partial)


def read_entry(path: Path, key: str) -> Any:
    """An entry of our own from a checkpoint; the weights stay on the disk.

    Raises:
        UserError: when the checkpoint lacks it.
    """
    checkpoint = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
    if key not in checkpoint:
        raise UserError(
            f"{path} was not written by a pretraining of this package (it has no '{key}'); start from its weights with "
            "-pretrained_weights instead of continuing it."
        )
    return checkpoint[key]
