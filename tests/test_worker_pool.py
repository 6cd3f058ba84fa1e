import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from nnunetv2_muduo import worker_pool
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.worker_pool import read_ahead, run_jobs


def test_one_process_works_right_here_and_in_order():
    assert list(run_jobs(lambda job: (job, os.getpid()), [3, 1, 2], num_processes=1)) == [
        (job, os.getpid()) for job in (3, 1, 2)
    ]


def test_no_jobs_start_no_process():
    assert list(run_jobs(math.sqrt, [], num_processes=8)) == []


def test_several_processes_return_everything_and_end():
    assert sorted(run_jobs(math.sqrt, [1, 4, 9], num_processes=2)) == [1, 2, 3]
    assert multiprocessing.active_children() == []


def test_what_a_worker_raises_arrives():
    with pytest.raises(ValueError, match="math domain"):
        list(run_jobs(math.sqrt, [-1, -1], num_processes=2))
    assert multiprocessing.active_children() == []


def test_a_dead_worker_is_a_clear_error():
    with pytest.raises(UserError, match=r"memory.*-np"):
        list(run_jobs(os._exit, [1, 1], num_processes=2))
    assert multiprocessing.active_children() == []


@pytest.fixture
def interruptible():
    """Ctrl-C raises, even where the tests run in the background of a shell that ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_leaves_no_worker_behind():
    threading.Timer(2.0, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        list(run_jobs(time.sleep, [60, 60], num_processes=2))
    assert multiprocessing.active_children() == []
    assert time.monotonic() - started < 30


A_PARENT = """
import time
from nnunetv2_muduo.worker_pool import run_jobs

def work(seconds):
    print("at work", flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    list(run_jobs(work, [600, 600], num_processes=2))
"""


@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_parent_that_is_killed_leaves_no_worker_behind(tmp_path: Path):
    (tmp_path / "parent.py").write_text(A_PARENT)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"], stdout=subprocess.PIPE, text=True)
    try:
        assert [parent.stdout.readline() for _ in range(2)] == ["at work\n"] * 2
    finally:
        parent.kill()
    parent.communicate(timeout=30)  # returns once the last process is gone that could still print


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_reading_ahead_keeps_the_order_and_leaves_no_worker_behind(processes: int):
    assert list(read_ahead(math.sqrt, [9, 1, 4, 16], num_processes=processes)) == [3, 1, 2, 4]
    assert multiprocessing.active_children() == []


def test_what_a_worker_raises_while_reading_ahead_arrives():
    with pytest.raises(ValueError, match="math domain"):
        list(read_ahead(math.sqrt, [1, -1, -1], num_processes=2))
    assert multiprocessing.active_children() == []


def never_end(value: int) -> int:
    """A job after which the process does not end by itself, as some libraries' threads make it."""
    threading.Thread(target=time.sleep, args=(600,)).start()
    return value


def test_a_worker_that_does_not_end_by_itself_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(worker_pool, "_MOST_SECONDS_TO_END", 2)
    started = time.monotonic()
    assert sorted(run_jobs(never_end, [1, 2, 3], num_processes=2)) == [1, 2, 3]
    assert multiprocessing.active_children() == []
    assert time.monotonic() - started < 60
