"""Data loaders at work in processes of their own, each of which draws differently, and with a seed always the same."""

import os
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from batchgenerators.dataloading.data_loader import DataLoader
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.nondet_multi_threaded_augmenter import NonDetMultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from nnunetv2_muduo.environment import environment
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.training.seeding import seed_everything
from nnunetv2_muduo.worker_pool import socket_problem

Augmenter: TypeAlias = SingleThreadedAugmenter | NonDetMultiThreadedAugmenter | MultiThreadedAugmenter

_WORKERS_VARIABLE = "nnUNet_n_proc_DA"


class SeededInWorkers:
    """A loader that begins with draws of its own in each worker.

    Workers are forks, and nnU-Net leaves torch's state as it was before the fork: without this, all of them (and with
    several GPUs those of all processes) would decide alike which augmentation to apply, and add the same noise.
    """

    def __init__(self, loader: DataLoader, seeds: Sequence[int]) -> None:
        self.loader, self.seeds = loader, tuple(seeds)

    def set_thread_id(self, thread_id: int) -> None:
        """Called in each worker, which starts with a copy of this loader."""
        torch.set_num_threads(1)  # one worker a core; and a fork cannot use its parent's threads
        seed_everything(self.seeds[thread_id])
        self.loader.set_thread_id(thread_id)

    def __iter__(self) -> "SeededInWorkers":
        return self

    def __next__(self) -> dict:
        return next(self.loader)


class _TellsOfDeath:
    """A mixture for batchgenerators' augmenters, whose RuntimeError leaves it to the reader what has happened."""

    def __next__(self) -> dict:
        try:
            return super().__next__()  # type: ignore[misc]
        except RuntimeError as error:
            raise UserError(
                "A process that loads patches died: if no error of its own is told above, memory ran out; set "
                f"{_WORKERS_VARIABLE} to less (it is {os.environ.get(_WORKERS_VARIABLE, 'not set')}) and continue with "
                "nnUNetv2_train ... --c."
            ) from error


class _InAnyOrder(_TellsOfDeath, NonDetMultiThreadedAugmenter):
    pass


class _InTurn(_TellsOfDeath, MultiThreadedAugmenter):
    pass


def start_workers(
    loader: DataLoader, number: int, *, cached: int, seed: int | None = None, pin_memory: bool = False
) -> NonDetMultiThreadedAugmenter | MultiThreadedAugmenter:
    """Let `number` processes fill batches; they are at work when this returns.

    Args:
        loader: endless; each worker has a copy.
        number: of workers, at least 1.
        cached: batches that wait for their turn at most.
        seed: hands batches out in an order that is always the same, worker by worker. Without one, whichever is ready
            first comes first.
        pin_memory: for training on CUDA.
    """
    refuse_folder_without_sockets()
    seeds = seeds_of_workers(number, seed)
    options: dict[str, Any] = {"seeds": seeds, "pin_memory": pin_memory, "wait_time": 0.002}
    seeded = SeededInWorkers(loader, seeds)
    augmenter: NonDetMultiThreadedAugmenter | MultiThreadedAugmenter
    if seed is None:
        augmenter = _InAnyOrder(seeded, None, number, num_cached=cached, **options)
    else:
        augmenter = _InTurn(seeded, None, number, num_cached_per_queue=1, **options)
    next(augmenter)  # starts the workers, while this process is still small, and tells at once if they cannot work
    return augmenter


def refuse_folder_without_sockets() -> None:
    """Processes hand patches over through sockets in the folder for temporary files; without them all wait for good.

    Raises:
        UserError: where none can be made there, as in a folder whose name is longer than the system's sockets take.
    """
    if problem := socket_problem():
        raise UserError(
            f"Processes that load patches cannot hand them over in {tempfile.gettempdir()} ({problem}); set TMPDIR to "
            "another folder with a short name, such as /tmp."
        )


def start_nnunets_loaders(
    make: Callable[[], tuple[Augmenter, Augmenter]], *, seeds: tuple[int | None, int | None], pin_memory: bool
) -> tuple[Augmenter, Augmenter]:
    """What nnU-Net's `get_dataloaders` makes, with as many workers as nnU-Net allows, but each with draws of its own.

    Args:
        make: nnU-Net's `get_dataloaders`.
        seeds: of patches and augmentation of training and of validation; None draws one for each worker. In this
            process both follow the first.
        pin_memory: for training on CUDA.

    Returns:
        Training and validation patches.
    """
    if seeds[0] is not None:
        seed_everything(seeds[0])
    number = get_allowed_n_proc_DA()
    if number == 0:
        return make()
    with environment({_WORKERS_VARIABLE: "0"}):  # nnU-Net would start its own at once, and not seed them
        training, validation = make()
    return (
        start_workers(
            loader_inside(training), number, cached=max(6, number // 2), seed=seeds[0], pin_memory=pin_memory
        ),
        start_workers(
            loader_inside(validation),
            max(1, number // 2),
            cached=max(3, number // 4),
            seed=seeds[1],
            pin_memory=pin_memory,
        ),
    )


def loader_inside(augmenter: Augmenter) -> Any:
    """The data loader that an augmenter asks, whatever the augmenter's class calls it, in this process."""
    inside = augmenter.data_loader if isinstance(augmenter, SingleThreadedAugmenter) else augmenter.generator
    return inside.loader if isinstance(inside, SeededInWorkers) else inside


def seeds_of_workers(number: int, seed: int | None) -> list[int]:
    """Different ones for numpy and torch, below 2**32; drawn from the system's entropy without a seed."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(number)]
