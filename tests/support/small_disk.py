"""A disk so small that it can be filled, where this account may mount one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def fill(place: Path, *, leave: int) -> None:
    """Take all room of the disk but `leave` bytes."""
    room = shutil.disk_usage(place).free - leave
    with open(place / "filler", "wb", buffering=0) as file:
        if room > 0:
            os.posix_fallocate(file.fileno(), 0, room)


@contextmanager
def own_disk(folder: Path, *, size: str = "64m") -> Iterator[bool]:
    """A small disk at a folder, if this account may mount one; yields whether it is."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount") is not None
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = mounted and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
