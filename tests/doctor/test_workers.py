"""The doctor looks at what nnU-Net's workers need."""

import pytest
from doctor_marks import mark_of

from nnunetv2_muduo import worker_pool
from nnunetv2_muduo.doctor import Mark
from nnunetv2_muduo.doctor.workers import check_number, check_shared_memory, check_temporary_folder


@pytest.mark.parametrize(
    ("value", "mark"), [(None, Mark.OK), ("4", Mark.OK), ("0", Mark.WARN), ("many", Mark.FAIL), ("-1", Mark.FAIL)]
)
def test_number_of_workers_must_be_one_that_nnunet_can_use(value: str | None, mark: Mark):
    assert mark_of(check_number(value)) is mark


def test_little_shared_memory_is_told():
    assert mark_of(check_shared_memory(0.06)) is Mark.WARN
    assert mark_of(check_shared_memory(8)) is Mark.OK


def test_a_folder_for_temporary_files_that_takes_no_sockets_is_told(monkeypatch: pytest.MonkeyPatch):
    assert mark_of(check_temporary_folder()) is Mark.OK

    def too_long() -> None:
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(worker_pool, "Listener", too_long)
    assert mark_of(check_temporary_folder()) is Mark.FAIL
