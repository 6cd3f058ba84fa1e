"""nnU-Net finds our trainers, or the doctor says why not."""

import os
import warnings
from pathlib import Path

import pytest
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark
from nnunetv2_muduo.doctor.trainer import check_look_up, check_trainer, check_variable
from nnunetv2_muduo.trainer_folder import trainer_folder


def test_trainer_folder_must_be_named_among_others(tmp_path: Path):
    assert mark_of(check_variable(None)) is Mark.FAIL
    assert mark_of(check_variable(str(tmp_path))) is Mark.FAIL
    assert mark_of(check_variable(f"{tmp_path}{os.pathsep}{trainer_folder()}")) is Mark.OK


def test_failing_look_up_is_reported_and_its_chatter_hidden(capsys: pytest.CaptureFixture):
    def look_up(name: str) -> type:
        print("Searching in external trainer paths")
        raise RuntimeError("Could not find requested nnunet trainer\nin many folders")

    check = check_look_up("nnUNetTrainerMuDuo", look_up)
    assert mark_of(check) is Mark.FAIL
    assert "\n" not in check.found
    assert capsys.readouterr().out == ""
    assert mark_of(check_look_up("dict", lambda name: dict)) is Mark.OK


def test_look_up_keeps_the_warnings_of_what_it_imports_to_itself(recwarn: pytest.WarningsRecorder):
    def look_up(name: str) -> type:
        warnings.warn("deprecated in torch", FutureWarning, stacklevel=1)
        return dict

    assert check_look_up("dict", look_up).mark is Mark.OK
    assert not recwarn.list


def test_look_up_is_spared_where_it_cannot_succeed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    assert [check.name for check in check_trainer("nnUNetTrainerMuDuo")] == ["nnUNet_extTrainer"]
