"""The memory of a command and of every process it starts, as Linux counts it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

    def look(family: Sequence[int]) -> None:
        for pid in family:
            peaks[pid] = max(peaks.get(pid, 0), _peak(pid))

    _watch(command, look, environment=environment, log=log, enough=enough)
    return list(peaks.values())


@dataclass(frozen=True)
class TreeMemory:
    """The most that a process and its descendants had, in bytes.

    Attributes:
        whole: anonymous memory by proportional set size, what files the largest process maps, and shared memory.
        workers: pages that processes other than the first had for themselves; at its own, maybe another moment.
        shared: shared memory at the moment of `whole`.
    """

    whole: int = 0
    workers: int = 0
    shared: int = 0


def tree_memory_of(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, enough: Callable[[], bool]
) -> TreeMemory:
    """Run a command and return the most that its processes had together; arguments as for `peaks_of`.

    Files that are mapped, libraries, count in full, once: by their proportional set size they would weigh less for
    every stranger on the machine that maps them too. Shared memory counts by its open files: that of batches in a
    queue is mapped by nobody, and in nobody's proportional set size.
    """
    most = TreeMemory()

    def look(family: Sequence[int]) -> None:
        nonlocal most
        counted = [numbers for pid in family if (numbers := _rollup(pid))]
        if not counted:
            return
        files = max(of["Rss"] - of["Anonymous"] - of["Pss_Shmem"] for of in counted)
        shared = _shared_memory(family)
        whole = sum(of["Pss_Anon"] for of in counted) + files + shared
        workers = sum(of["Private_Dirty"] - of["Pss_Shmem"] for of in counted[1:])
        most = TreeMemory(
            max(whole, most.whole), max(workers, most.workers), shared if whole > most.whole else most.shared
        )

    _watch(command, look, environment=environment, log=log, enough=enough)
    return most


def _watch(
    command: Sequence[str],
    look: Callable[[Sequence[int]], None],
    *,
    environment: Mapping[str, str],
    log: Path,
    enough: Callable[[], bool],
) -> None:
    with log.open("w") as out:
        process = subprocess.Popen(command, env=dict(environment), stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            look(_family(process.pid))
            if enough():
                for pid in reversed(_family(process.pid)):  # or its workers go on without it
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
                return
            time.sleep(_PAUSE_IN_S)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{log.read_text()[-2000:]}")


def _rollup(pid: int) -> dict[str, int]:
    """Sums over a process's mappings, in bytes; empty where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: int(value.split()[0]) * 1024 for name, value in (line.split(":") for line in lines)}


def _shared_memory(family: Sequence[int]) -> int:
    """Bytes of the files in /dev/shm that these processes hold open, each once."""
    sizes: dict[int, int] = {}
    for pid in family:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if os.readlink(entry.path).startswith("/dev/shm/"):
                        status = os.stat(entry.path)
                        sizes[status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


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
