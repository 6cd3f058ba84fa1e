"""The prompt generator's training stands beside the student's and leaves that alone."""

import os
from pathlib import Path

import pytest
from fabricated_training import trainers_in
from nnunetv2.training.logging import nnunet_logger

from nnunetv2_muduo.semisupervised.prompt_trainer import prompt_generator_of
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt


class Untrained(nnUNetTrainerMuDuoPrompt):
    """Does not train, but ends as a training does."""

    def run_training(self) -> None:
        self.save_checkpoint(str(Path(self.output_folder) / "checkpoint_final.pth"))


class Failing(nnUNetTrainerMuDuoPrompt):
    """Cannot be made."""

    def __init__(self, *given) -> None:
        raise RuntimeError("out of memory")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    return trainers_in(tmp_path, monkeypatch)


def test_the_students_run_of_wandb_is_the_only_one(make, monkeypatch: pytest.MonkeyPatch):
    opened: list[Path] = []

    class Run:
        def __init__(self, folder: str, resume: bool) -> None:
            opened.append(Path(folder))

        def update_config(self, config: dict) -> None: ...

    monkeypatch.setattr(nnunet_logger, "WandbLogger", Run)
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    student: SemiSupervisedTrainer = make()
    prompt_generator_of(student, Untrained)
    assert opened == [Path(student.output_folder)]
    assert os.environ["nnUNet_wandb_enabled"] == "1"
    with pytest.raises(RuntimeError, match="out of memory"):
        prompt_generator_of(student, Failing)
    assert os.environ["nnUNet_wandb_enabled"] == "1"
