"""A piece of work in a process of its own that may be killed: how it ended and what it told."""

import faulthandler
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fault_events import Event, Watch

from nnunetv2_muduo.files import write_text

_MOST_SECONDS = 900  # a fork of a process with threads can wait forever for a lock that one of them held


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit code (negative: the signal), what it printed, its events and the modules it imported."""

    code: int
    text: str
    events: tuple[Event, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The last line."""
        return (self.text.strip().splitlines() or [""])[-1]


def in_a_child(work: Callable[[], int], watch: Watch | None = None, kill_after_s: float | None = None) -> Ended:
    """Run in a fork that ends as a command does; killed with its whole group after some time, if that is given.

    A fork that comes to no end is ended with SIGABRT, at which it prints where it waits.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        child = os.fork()
        if child == 0:
            _be_the_child(work, watch, out)
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.killpg(child, signal.SIGKILL) if os.getpgid(child) == child else os.kill(child, signal.SIGKILL)
        code = _end_of(child)
        text = out.read_text(errors="replace") if out.is_file() else ""
        told = out.with_suffix(".json")
        events, modules = json.loads(told.read_text()) if told.is_file() else ([], [])
        return Ended(code, text, tuple(Event(*event) for event in events), tuple(modules))


def import_all(modules: Sequence[str]) -> None:
    for name in modules:
        with suppress(Exception):
            importlib.import_module(name)


def _end_of(child: int) -> int:
    latest = time.monotonic() + _MOST_SECONDS
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > latest:
            os.kill(child, signal.SIGABRT)
            done = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(done[1])


def _be_the_child(work: Callable[[], int], watch: Watch | None, out: Path) -> None:
    code = 1
    try:
        os.setsid()
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))  # pytest has its own
        faulthandler.enable(descriptor)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if watch is not None:
            os.chdir(watch.folder)
            watch.begin()
        code = work()
        if watch is not None:
            events = [[event.kind, event.path] for event in watch.events]
            write_text(out.with_suffix(".json"), json.dumps([events, sorted(sys.modules)]))  # the clock may strike now
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
