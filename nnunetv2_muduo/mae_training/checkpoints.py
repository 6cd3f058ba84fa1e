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


def checked_state(state: Any) -> dict[str, Any]:
    """What a pretraining keeps of itself: `seed`, `best_validation_loss`, and `cases` (name -> role) but in older ones.

    Raises:
        ValueError: for what none of them can be.
        Exception: of any kind, for what is no such table.
    """
    seed, best, cases = state["seed"], state["best_validation_loss"], state.get("cases", {})
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise ValueError("it holds no seed where that should be")
    if type(best) is not float or not best >= 0:  # infinite before the first epoch
        raise ValueError("it holds no validation loss where that should be")
    if not all(isinstance(word, str) for case in cases.items() for word in case):
        raise ValueError("it holds no cases where they should be")
    return state
