"""The processes that train one student together, one a GPU (nnU-Net's -num_gpus): one works, all know the outcome."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch.distributed as dist
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.errors import UserError

# nnU-Net's own process group gives up after ten minutes, which preprocessing and teacher caches exceed. A process that
# dies is noticed at once all the same: its connections break, and nnU-Net ends the others.
_PATIENCE = timedelta(days=7)

# Groups that nobody uses any more. Freeing one waits, with Python's lock, for gloo's thread, and that one may just wait
# for the lock to free what it sent last: with torch 2.6 on a crowded machine a training stood still for good.
_KEPT: list[Any] = []

Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
    """A patient group of all processes, or this process alone.

    Attributes:
        rank: of this process, 0 for the first.
        number: of processes.
        group: to talk in, on the CPU; None where there is one process.
    """

    rank: int
    number: int
    group: Any = None

    def first_does(self, work: Callable[[], Result]) -> Result:
        """Let the first process do something while the others wait; all return what it returned (pickled).

        Raises:
            UserError: in all processes, where `work` raises it in the first.
            RuntimeError: in the others, where `work` raises anything else in the first, which raises that.
        """
        if self.group is None:
            return work()
        outcome: list = [None]
        if self.rank == 0:
            try:
                outcome = [(work(), None)]
            except Exception as error:
                self._tell([(None, (isinstance(error, UserError), str(error)))])
                raise
        result, failure = self._tell(outcome)
        if failure is not None:
            of_the_user, message = failure
            raise UserError(message) if of_the_user else RuntimeError(f"The first process failed: {message}")
        return result

    def wait_for_all(self) -> None:
        """Return when every process has called this."""
        if self.group is not None:
            dist.barrier(self.group)

    def _tell(self, outcome: list) -> Any:
        dist.broadcast_object_list(outcome, src=0, group=self.group)
        return outcome[0]


@contextmanager
def processes_of(trainer: nnUNetTrainer) -> Iterator[Processes]:
    """All processes that train together, patient as long as this lasts; each must enter before the long work begins."""
    if not trainer.is_ddp:
        yield Processes(0, 1)
        return
    group = dist.new_group(backend="gloo", timeout=_PATIENCE)
    try:
        yield Processes(trainer.local_rank, dist.get_world_size(), group)
    finally:
        dist.destroy_process_group(group)
        _KEPT.append(group)


def refuse_unconnected_processes() -> None:
    """Refuse what torchrun and its like start: processes that nnU-Net does not connect, all to write into one folder.

    Raises:
        UserError: in one of several processes that were started together, and that has joined no process group.
    """
    started = os.environ.get("WORLD_SIZE", "") if "RANK" in os.environ else ""
    if started.isdecimal() and int(started) > 1 and not dist.is_initialized():
        raise UserError(
            f"RANK and WORLD_SIZE say that {started} processes were started together, as torchrun does, but nnU-Net "
            "does not connect them: each would train by itself and write over the others' results. Use nnUNetv2_train "
            "-num_gpus N on one machine instead (docs/several_gpus.md), or unset RANK if this process is the only one."
        )
