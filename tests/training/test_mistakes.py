"""What a training says to a user's mistake, here and through nnU-Net's own command."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from planned_dataset import DATASET, DATASET_JSON, unet_plans, write_planned_dataset

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.trainer_folder import trainer_folder
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTSwin import nnUNetTrainerPETCTSwin
from nnunetv2_muduo.training.mistakes import OneSentence, answer_in_one_sentence

ENTRY = "from nnunetv2.run.run_training import run_training_entry; run_training_entry()"


def heard(error: BaseException) -> list[BaseException]:
    """What a hook leaves to the one before."""
    others: list[BaseException] = []
    OneSentence(lambda kind, error, trace: others.append(error))(type(error), error, None)
    return others


def test_a_mistake_is_its_sentence(capsys: pytest.CaptureFixture):
    assert heard(UserError("points is 'many'; give a number.")) == []
    assert capsys.readouterr().err == "ERROR: points is 'many'; give a number.\n"


def test_a_full_disk_is_one_too(capsys: pytest.CaptureFixture):
    assert heard(OSError(errno.ENOSPC, "No space left on device", "/data/log.txt")) == []
    assert capsys.readouterr().err.startswith("ERROR: /data/log.txt cannot be written or read: No space left")


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), FileNotFoundError(errno.ENOENT, "", "a")])
def test_everything_else_is_left_to_the_hook_before(error: BaseException, capsys: pytest.CaptureFixture):
    assert heard(error) == [error]
    assert capsys.readouterr().err == ""


def test_the_hook_is_put_in_place_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    answer_in_one_sentence()
    answer_in_one_sentence()
    assert isinstance(sys.excepthook, OneSentence)
    assert sys.excepthook.previous is sys.__excepthook__


@pytest.mark.parametrize(
    "trainer",
    [
        nnUNetTrainerMuDuo,
        nnUNetTrainerMuDuoPrompt,
        nnUNetTrainerMuDuoSupervised,
        nnUNetTrainerPETCTMAE,
        nnUNetTrainerPETCTSwin,
    ],
)
def test_trainers_have_it_in_place_before_they_look_at_settings(trainer: type, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    plans = {**unet_plans(), "muduo": {"points": "many"}, "mae": {"swin": "huge"}}
    with pytest.raises(UserError):
        trainer(plans, "3d_fullres", 0, DATASET_JSON, torch.device("cpu"))
    assert isinstance(sys.excepthook, OneSentence)


@pytest.mark.parametrize(
    ("configuration", "settings", "told"), [("3d_fullres", {"points": "many"}, "points"), ("2d", {}, "'2d' is 2d")]
)
def test_nnunets_command_answers_a_mistake_in_one_sentence(
    tmp_path: Path, configuration: str, settings: dict, told: str
):
    folders = {name: tmp_path / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    for folder in folders.values():
        folder.mkdir()
    plans = {**unet_plans(), "muduo": settings}
    write_planned_dataset(folders["nnUNet_preprocessed"], plans)
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, DATASET, configuration, "0", "-tr", "nnUNetTrainerMuDuo", "-device", "cpu"],
        env={**os.environ, **{k: str(v) for k, v in folders.items()}, "nnUNet_extTrainer": str(trainer_folder())},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ERROR: ")
    assert told in last
    assert not list(folders["nnUNet_results"].iterdir())
