"""The memory of a tree of processes, each page once."""

import os
import sys
from pathlib import Path

import pytest
from process_memory import tree_memory_of

MIB = 1024**2
PROGRAM = """
import os, pathlib, sys, time
both = bytearray(b"x") * (40 << 20)
if os.fork() == 0:
    own = bytearray(b"x") * (20 << 20)
    queued = os.open(f"/dev/shm/test_process_memory_{os.getpid()}", os.O_CREAT | os.O_RDWR)
    os.unlink(os.readlink(f"/proc/self/fd/{queued}"))
    os.posix_fallocate(queued, 0, 10 << 20)
    pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="Linux tells so since 4.14")
def test_what_processes_share_counts_once_and_shared_memory_that_nobody_maps_counts(tmp_path: Path):
    looks = iter(range(5))
    found = tree_memory_of(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "ready")],
        environment=os.environ,
        log=tmp_path / "log.txt",
        enough=lambda: (tmp_path / "ready").is_file() and next(looks) == 4,  # the look after it is there counts
    )
    assert found.shared == 10 * MIB
    assert 20 * MIB <= found.workers < 26 * MIB
    assert 70 * MIB <= found.whole < 95 * MIB
