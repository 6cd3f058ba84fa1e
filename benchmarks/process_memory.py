"""The largest resident memory of a command and of every process it starts, as Linux counts it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PAUSE_IN_S = 0.05


def peaks_of(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, enough: Callable[[], bool] = lambda: False
) -> list[int]:
    """Run a command and return the peaks ("VmHWM") of its processes in bytes, in the order of their start.

    The kernel keeps a peak, so that looking twenty times a second misses little of a process: its last moments.

    Args:
        command: program and arguments.
        environment: of the command.
        log: where its output goes.
        enough: asked again and again; the command is ended when it says so.

    Raises:
        RuntimeError: if the command fails by itself, with the end of its output.
    """
    peaks: dict[int, int] = {}
    with log.open("w") as out:
        process = subprocess.Popen(command, env=dict(environment), stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            for pid in _family(process.pid):
                peaks[pid] = max(peaks.get(pid, 0), _peak(pid))
            if enough():
                for pid in reversed(_family(process.pid)):  # or its workers go on without it
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
                return list(peaks.values())
            time.sleep(_PAUSE_IN_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{log.read_text()[-2000:]}")
    return list(peaks.values())


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _family(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    family = [root]
    for pid in family:
        family.extend(children.get(pid, []))
    return family
