"""Are nnU-Net's folders there?"""

import os
from pathlib import Path

import pytest
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark
from nnunetv2_muduo.doctor.folders import check_folder


def test_folder_must_be_set_and_there(tmp_path: Path):
    assert mark_of(check_folder("nnUNet_results", None)) is Mark.FAIL
    assert mark_of(check_folder("nnUNet_results", str(tmp_path / "missing"))) is Mark.FAIL
    assert mark_of(check_folder("nnUNet_results", str(tmp_path))) is Mark.OK


def test_folder_that_is_read_only_fails_where_something_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert mark_of(check_folder("nnUNet_preprocessed", str(tmp_path))) is Mark.FAIL
    assert mark_of(check_folder("nnUNet_raw", str(tmp_path))) is Mark.OK
