"""What a pretraining keeps in nnU-Net's checkpoints beyond nnU-Net's own entries."""

from pathlib import Path
from typing import Any

import torch

from nnunetv2_muduo.errors import UserError

STATE_KEY = "mae_state"  # of a checkpoint: what a resumed pretraining needs beyond nnU-Net's own entries


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
