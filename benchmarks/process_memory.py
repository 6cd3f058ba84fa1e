"""Memory of a command and of every process it starts, as Linux counts it."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PAUSE_IN_S = 0.05
_SPAWNED = "multiprocessing.spawn"
_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


@dataclass
class ProcessPeak:
    """One process.

    Attributes:
        started: its place among all processes in the order in which they were seen; the command itself is 0.
        spawned: begun as a new interpreter (nnU-Net's pools) and not as a fork (augmentation).
        resident: largest resident memory in bytes ("VmHWM"), pages shared with others included.
        own: largest sum of anonymous and shared-memory pages that it accounts for ("Pss_Anon" and "Pss_Shmem").
    """

    started: int
    spawned: bool
    resident: int = 0
    own: int = 0


@dataclass
class Watched:
    """What was seen of a command.

    Attributes:
        processes: all of them, the command first.
        total: largest sum over all processes at one time, each page counted once ("Pss"), in bytes.
        returncode: of the command.
        output: what it printed.
        seconds: how long it ran.
    """

    processes: list[ProcessPeak] = field(default_factory=list)
    total: int = 0
    returncode: int = 0
    output: str = ""
    seconds: float = 0.0


def watch(command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> Watched:
    """Run a command and look at its processes twenty times a second; peaks of a process are kept by the kernel."""
    watched, seen = Watched(), {}
    start = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(command, env=dict(environment), stdout=out, stderr=subprocess.STDOUT)
        while process.poll() is None:
            watched.total = max(watched.total, sum(_look_at(pid, seen) for pid in _family(process.pid)))
            time.sleep(_PAUSE_IN_S)
    watched.seconds = time.monotonic() - start
    watched.returncode, watched.output = process.returncode, log.read_text()
    watched.processes = [peak for peak in seen.values() if peak is not None]
    return watched


def _look_at(pid: int, seen: dict[int, ProcessPeak | None]) -> int:
    """Bring a process's peaks up to date; its present share of memory in bytes, 0 when it is gone."""
    try:
        if pid not in seen:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
            helper = any(name in command for name in _HELPERS)
            seen[pid] = None if helper else ProcessPeak(len(seen), _SPAWNED in command)
        shares = _kilobytes(Path(f"/proc/{pid}/smaps_rollup"))
        resident = _kilobytes(Path(f"/proc/{pid}/status")).get("VmHWM", 0)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    peak = seen[pid]
    if peak is not None:
        peak.resident = max(peak.resident, resident)
        peak.own = max(peak.own, shares.get("Pss_Anon", 0) + shares.get("Pss_Shmem", 0))
    return shares.get("Pss", 0)


def _family(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    family = [root]
    for pid in family:
        family.extend(parents.get(pid, []))
    return family


def _kilobytes(file: Path) -> dict[str, int]:
    """The lines "Name: 123 kB" of a file of /proc, in bytes."""
    parts = (line.split() for line in file.read_text().splitlines())
    return {part[0].rstrip(":"): int(part[1]) * 1024 for part in parts if len(part) == 3 and part[2] == "kB"}
