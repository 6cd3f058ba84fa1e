"""How much memory this machine, or the container around this process, has."""

from pathlib import Path

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def host_memory(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """Bytes of the machine's memory, or of a container's limit where that is lower; None where Linux does not tell.

    Args:
        proc: Linux's /proc.
        cgroup: where control groups of either version are mounted.
    """
    limits = [_machine(proc)]
    for file in (cgroup / "memory.max", cgroup / "memory" / "memory.limit_in_bytes", *_own_groups(proc, cgroup)):
        limits.append(_number(file))
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def _machine(proc: Path) -> int | None:
    return _kilobytes(proc / "meminfo", "MemTotal")


def _own_groups(proc: Path, cgroup: Path) -> list[Path]:
    """Limits of the control groups of this process, where their tree is seen from outside of a container."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return []
    files = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            files.append(cgroup / path.lstrip("/") / "memory.max")
        elif "memory" in controllers.split(","):
            files.append(cgroup / "memory" / path.lstrip("/") / "memory.limit_in_bytes")
    return files


def _number(file: Path) -> int | None:
    """The limit in a file; None where there is none ("max")."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _kilobytes(file: Path, name: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
