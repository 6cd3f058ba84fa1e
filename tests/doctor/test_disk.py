"""What preprocessing will write is held against the free space."""

from pathlib import Path

import pytest
from doctor_dataset import PLANS
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark
from nnunetv2_muduo.doctor.disk import GIB, bytes_to_write, check_disk


def test_size_of_what_is_to_be_written_grows_with_cases_and_channels():
    size = bytes_to_write(PLANS, configuration="3d_fullres", cases=3, channels=2)
    assert size == 3 * 6000 * (2 * 4 + 2)


@pytest.mark.parametrize(("free_in_gib", "mark"), [(9, Mark.FAIL), (12, Mark.WARN), (100, Mark.OK)])
def test_little_disk_is_told(free_in_gib: int, mark: Mark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    usage = type("Usage", (), {"free": free_in_gib * GIB})
    monkeypatch.setattr("nnunetv2_muduo.doctor.disk.shutil.disk_usage", lambda folder: usage)
    assert mark_of(check_disk(tmp_path, needed_in_bytes=10 * GIB)) is mark
