"""Something run in a process of its own that may crash, hang or ask for too much memory without harm to ours."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TRACEBACK = 70  # exit code of what raised
MOST_BYTES = 4 << 30  # of address space for a command, most of which is never touched
_PAUSE_IN_S = 0.002
# Other processes may keep the processor busy, so the clock says little
_FACTOR, _MORE_SECONDS = 5, 15


@dataclass(frozen=True)
class Ended:
    """How it went.

    Attributes:
        code: the exit code; None for what was killed.
        signal: that killed it; None for what ended by itself.
        timed_out: whether it was killed for taking too long.
        grown_in_bytes: how much more memory it held at most than when it began.
        printed: all that it printed.
    """

    code: int | None
    signal: int | None
    timed_out: bool
    grown_in_bytes: int
    printed: str


def run_aside(action: Callable[[], int | None], log: Path, *, limit_in_s: int, most_bytes: int) -> Ended:
    """Run something in a fork of this process and wait for its end.

    Nothing may have started threads in this process before, or the fork may hang.

    Args:
        action: returns an exit code.
        log: file that gets what it prints.
        limit_in_s: of processor time; it is killed after it, or after much longer by the clock.
        most_bytes: of address space that it may have beyond what it inherits.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if not process:
        _become(action, log, limit_in_s, most_bytes)
    end = time.monotonic() + _FACTOR * limit_in_s + _MORE_SECONDS
    timed_out = False
    while True:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end and not timed_out:
            timed_out = True
            os.kill(process, signal.SIGKILL)
        time.sleep(_PAUSE_IN_S)
    killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    grown = max(0, usage.ru_maxrss * 1024 - _resident_in_bytes())
    timed_out = timed_out or killed == signal.SIGXCPU
    return Ended(code, killed, timed_out, grown, log.read_text(encoding="utf-8", errors="replace"))


def _become(action: Callable[[], int | None], log: Path, limit_in_s: int, most_bytes: int) -> None:
    """The life of the fork; never returns."""
    code = TRACEBACK
    try:
        with log.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False, buffering=1)  # noqa: SIM115
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (limit_in_s, limit_in_s + 1))
        limit = _address_space_in_bytes() + most_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        code = action() or 0
    except SystemExit as stopped:  # argparse
        code = stopped.code if isinstance(stopped.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _address_space_in_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _resident_in_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
