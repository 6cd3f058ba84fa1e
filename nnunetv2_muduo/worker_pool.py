"""One function over many jobs, in processes of their own, that survives neither a crash nor Ctrl-C in silence."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import Listener, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from nnunetv2_muduo.errors import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")

_MOST_SECONDS_TO_END = 30  # libraries with threads of their own can hang at the end of a process


def run_jobs(function: Callable[[Job], Result], jobs: Sequence[Job], *, num_processes: int) -> Iterator[Result]:
    """Results as they come, in any order; with one process (or one job) everything runs right here.

    Processes are spawned, not forked: a fork of a process that uses CUDA or threads can hang.

    Raises:
        UserError: when a worker died (as the system does to it when memory runs out). What the function itself raises
            is passed on. Whatever is raised, no worker is left behind.
    """
    num_processes = min(num_processes, len(jobs))
    if num_processes <= 1:
        yield from map(function, jobs)
        return
    with _workers(num_processes) as pool:
        futures = [pool.submit(function, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()


def read_ahead(function: Callable[[Job], Result], jobs: Sequence[Job], *, num_processes: int) -> Iterator[Result]:
    """Results in the order of the jobs, never more than `num_processes` of them ahead of whom they are for.

    For results that are large, such as whole scans. With no process or one job everything runs right here.

    Raises:
        UserError: as `run_jobs`.
    """
    num_processes = min(num_processes, len(jobs))
    if num_processes < 1 or len(jobs) == 1:
        yield from map(function, jobs)
        return
    with _workers(num_processes) as pool:
        waiting: deque[Future] = deque()
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) > num_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def _workers(num_processes: int) -> Iterator[ProcessPoolExecutor]:
    """Spawned processes, none of which is left behind whatever happens, not even if this one is killed."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        num_processes, mp_context=multiprocessing.get_context("spawn"), initializer=_follow_the_parent
    )
    finished = False
    try:
        yield pool
        finished = True
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process died, most likely because memory ran out; run again with fewer processes (-np), "
            "what is finished is kept."
        ) from error
    finally:
        workers = [process for process in multiprocessing.active_children() if process not in others]
        pool.shutdown(wait=False, cancel_futures=True)
        _end(workers, patience_in_s=_MOST_SECONDS_TO_END if finished else 0)


def _follow_the_parent(*_: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # or Ctrl-C prints a traceback for every worker
    threading.Thread(target=_end_with_the_parent, daemon=True).start()


def _end_with_the_parent() -> None:
    """A parent that is killed tells nobody, and a worker would wait for its next job for good."""
    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
        os._exit(1)


def _end(workers: Sequence[BaseProcess], *, patience_in_s: float) -> None:
    """Let idle workers end by themselves for some time; what they are still at work on then is not wanted any more."""
    latest = time.monotonic() + patience_in_s
    for worker in workers:
        worker.join(max(0.0, latest - time.monotonic()))
    for worker in workers:
        if worker.exitcode is None:
            worker.terminate()
    for worker in workers:
        worker.join()
        while worker.exitcode is None:  # a thread of the pool was faster to hear of its end and is about to note it
            time.sleep(0.001)


def socket_problem() -> str:
    """Why processes cannot hand things over by sockets in the folder for temporary files; "" where they can."""
    try:
        Listener().close()
    except OSError as error:  # such as a folder whose name is longer than the system's sockets take
        return str(error)
    return ""
