"""Two processes that train together as nnU-Net's -num_gpus 2 makes them, but on the CPU, talking by gloo."""

import functools
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch.nn.parallel import DistributedDataParallel

MOST_SECONDS = 900  # on a crowded machine; nobody waits that long on a quiet one


def in_two_processes(work: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """What `work(rank, *arguments)` returns in each of two processes; whatever one of them raises ends both.

    Args:
        work: a function that can be imported, from tests/support.
        folder: for files of our own; new.
        arguments: anything that can be pickled.
    """
    folder.mkdir()
    context = mp.start_processes(_child, (work, folder, arguments), nprocs=2, join=False, start_method="spawn")
    end = time.monotonic() + MOST_SECONDS
    while not context.join(timeout=1):
        if time.monotonic() > end:
            for process in context.processes:
                process.kill()
            raise TimeoutError(f"two processes wait for each other after {MOST_SECONDS} s")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(2)]


def join_group(rank: int, store: Path, *, seconds: float = MOST_SECONDS) -> None:
    """Become one of two processes, which wait so long for each other."""
    timeout = timedelta(seconds=seconds)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2, timeout=timeout)


def _child(rank: int, work: Callable[..., Any], folder: Path, arguments: tuple) -> None:
    torch.set_num_threads(1)
    _take_the_cpu_for_gpus()
    join_group(rank, folder / "store")
    torch.save(work(rank, *arguments), folder / f"{rank}.pt")
    dist.barrier()
    dist.destroy_process_group()


def _take_the_cpu_for_gpus() -> None:
    """Where nnU-Net takes for granted that processes that train together have a GPU each."""
    make, wrap = nnUNetTrainer.__init__, DistributedDataParallel.__init__

    @functools.wraps(make)
    def on_the_cpu(self, *arguments, **options) -> None:
        make(self, *arguments, **options)
        self.device, self.grad_scaler = torch.device("cpu"), None

    @functools.wraps(wrap)
    def without_devices(self, module, device_ids=None, **options) -> None:
        wrap(self, module, **options)

    nnUNetTrainer.__init__ = on_the_cpu
    DistributedDataParallel.__init__ = without_devices
