"""The memory there is: the machine's, or the container's where that is less."""

from pathlib import Path

import pytest

from nnunetv2_muduo.memory.machine import host_memory

GIB = 1024**3


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: {16 * GIB // 1024} kB\nMemFree: 1 kB\n")
    return tmp_path / "proc"


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_machine_alone(proc: Path, tmp_path: Path):
    assert host_memory(proc, tmp_path / "none") == 16 * GIB


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_limit_of_a_container_counts_in_both_versions(proc: Path, tmp_path: Path, file: str):
    write(tmp_path / "cgroup" / file, f"{4 * GIB}\n")
    assert host_memory(proc, tmp_path / "cgroup") == 4 * GIB


def test_no_limit_is_no_limit(proc: Path, tmp_path: Path):
    write(tmp_path / "cgroup" / "memory.max", "max\n")
    write(tmp_path / "cgroup" / "memory" / "memory.limit_in_bytes", f"{2**63 - 4096}\n")
    assert host_memory(proc, tmp_path / "cgroup") == 16 * GIB


@pytest.mark.parametrize(
    ("line", "file"),
    [("0::/job", "job/memory.max"), ("4:cpu,memory:/job", "memory/job/memory.limit_in_bytes")],
)
def test_limit_of_a_job_is_found_by_its_group(proc: Path, tmp_path: Path, line: str, file: str):
    (proc / "self" / "cgroup").write_text(f"{line}\n")
    write(tmp_path / "cgroup" / file, f"{3 * GIB}\n")
    assert host_memory(proc, tmp_path / "cgroup") == 3 * GIB


def test_nothing_is_known_where_linux_does_not_tell(tmp_path: Path):
    assert host_memory(tmp_path, tmp_path) is None
