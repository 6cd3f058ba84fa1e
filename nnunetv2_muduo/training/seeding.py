"""Seeds of everything that a training draws: the same in every run, another for each process, epoch and purpose."""

import random
from enum import IntEnum

import numpy as np
import torch


class Stream(IntEnum):
    """What random numbers are for; each has a stream of its own."""

    LABELLED = 0  # patches and augmentation
    VALIDATION = 1
    UNLABELLED = 2
    NOISE = 3  # that an averaged student is disturbed with
    TEACHING = 4  # points to prompt with, mixtures of teachers
    VIEW = 5  # how unlabelled patches are turned and scaled


def stream_seed(seed: int | None, *, rank: int, epoch: int, stream: Stream) -> int | None:
    """The seed of a stream of a process from an epoch on; None without a seed.

    All are independent of each other, also of those of another seed. The first process's first epoch of labelled
    patches has the seed itself.
    """
    if seed is None or not (rank or epoch or stream):
        return seed
    return int(np.random.SeedSequence((seed, rank, epoch, stream)).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seed what this process draws without a generator of its own: initial weights, nnU-Net's patches, augmentation."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
