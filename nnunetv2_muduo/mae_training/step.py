"""The pieces of a pretraining step that need no trainer."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from nnunetv2_muduo.pretraining import impute


def shown_to_network(image: Tensor, mask: Tensor, channels: Sequence[int] | None) -> Tensor:
    """What the network gets to see: 0 where hidden, and in every channel that is not among `channels` (None: all).

    Args:
        image: [B, C, Z, Y, X] normalised; not changed.
        mask: the same shape, True where hidden.
        channels: input channels.
    """
    if channels is not None:
        others = [channel for channel in range(image.shape[1]) if channel not in channels]
        mask = mask.clone()
        mask[:, others] = True
    return impute(image, mask)


def seeded_generator(*numbers: int) -> torch.Generator:
    """A generator named by numbers of 0 and above, independent of all others.

    On the CPU, whose random numbers are the same everywhere; masks need one number a block.
    """
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def mean_loss(outputs: Sequence[dict[str, float]], *, ranks: int) -> float:
    """Mean of what the steps of an epoch returned under "loss", over all processes that train together."""
    losses = [output["loss"] for output in outputs]
    if ranks == 1:
        return float(np.mean(losses))
    everyone: list = [None] * ranks
    dist.all_gather_object(everyone, losses)
    return float(np.mean(everyone))
