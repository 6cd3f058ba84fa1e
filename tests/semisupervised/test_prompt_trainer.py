"""The prompt generator's training stands beside the student's, leaves that alone, and is one of the same cases."""

import json
import os
from pathlib import Path

import pytest
import torch
from fabricated_training import trainers_in
from nnunetv2.training.logging import nnunet_logger
from planned_dataset import DATASET_JSON

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.prompt_origin import ENTRY
from nnunetv2_muduo.semisupervised.prompt_trainer import prompt_generator_of
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.training import configured

FINAL, LATEST = "checkpoint_final.pth", "checkpoint_latest.pth"


class Untrained(nnUNetTrainerMuDuoPrompt):
    """Looks at its cases and ends as a training does, without a step."""

    trained = 0

    def run_training(self) -> None:
        type(self).trained += 1
        self.get_tr_and_val_datasets()
        self.save_checkpoint(str(Path(self.output_folder) / FINAL))


class Failing(nnUNetTrainerMuDuoPrompt):
    """Cannot be made."""

    def __init__(self, *given) -> None:
        raise RuntimeError("out of memory")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Untrained, "trained", 0)
    monkeypatch.setattr(configured, "refuse_cut_short", lambda folder, cases: None)  # these have names alone
    return trainers_in(tmp_path, monkeypatch)


def split(student: SemiSupervisedTrainer, *training: str) -> None:
    """Train on these of the cases a, b and c, and hold the others out."""
    folds = [{"train": list(training), "val": sorted({"a", "b", "c"} - set(training))}]
    Path(student.preprocessed_dataset_folder_base, "splits_final.json").write_text(json.dumps(folds))


def checkpoint_of(student: SemiSupervisedTrainer, name: str = FINAL) -> Path:
    return Path(student.output_folder_base).with_name("Untrained__nnUNetPlans__3d_fullres") / "fold_0" / name


def log_of(student: SemiSupervisedTrainer) -> str:
    return Path(student.log_file).read_text()


def test_the_students_run_of_wandb_is_the_only_one(make, monkeypatch: pytest.MonkeyPatch):
    opened: list[Path] = []

    class Run:
        def __init__(self, folder: str, resume: bool) -> None:
            opened.append(Path(folder))

        def update_config(self, config: dict) -> None: ...

    monkeypatch.setattr(nnunet_logger, "WandbLogger", Run)
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    student = make()
    split(student, "a", "b")
    prompt_generator_of(student, Untrained)
    assert opened == [Path(student.output_folder)]
    assert os.environ["nnUNet_wandb_enabled"] == "1"
    with pytest.raises(RuntimeError, match="out of memory"):
        prompt_generator_of(student, Failing)
    assert os.environ["nnUNet_wandb_enabled"] == "1"


def test_a_generator_of_the_same_cases_is_used_again(make):
    student = make()
    split(student, "b", "a")
    prompt_generator_of(student, Untrained)
    split(student, "a", "b")
    prompt_generator_of(make(continues=True), Untrained)
    assert Untrained.trained == 1


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_generator_of_other_cases_is_refused_by_their_names(make, interrupted: bool):
    student = make()
    split(student, "a", "b")
    prompt_generator_of(student, Untrained)
    if interrupted:
        checkpoint_of(student).rename(checkpoint_of(student, LATEST))
    split(student, "b", "c")
    with pytest.raises(UserError, match=r"other cases .*\(also on a, without c\)") as refusal:
        prompt_generator_of(student, Untrained)
    assert f"move the folder {checkpoint_of(student).parent} away" in str(refusal.value)
    assert str(refusal.value).endswith("or put back the split.")
    split(student, "a", "b")
    prompt_generator_of(student, Untrained)


def test_a_generator_of_another_channel_is_refused(make):
    student = make()
    split(student, "a", "b")
    prompt_generator_of(student, Untrained)
    with pytest.raises(UserError, match=r"trained on input channel 1 where PET is channel 0 now; .* put back the chan"):
        prompt_generator_of(make(ct_channel=1, pet_channel=0), Untrained)


@pytest.mark.parametrize("labels", [{"liver": 2, "spleen": 1}, {"liver": 1, "spleen": 2, "heart": 3}])
def test_a_generator_of_other_labels_is_refused_by_their_names(make, labels: dict):
    student = make()
    split(student, "a", "b")
    prompt_generator_of(student, Untrained)
    other = make(dataset_json={**DATASET_JSON, "labels": {"background": 0, **labels}})
    names = "heart" if "heart" in labels else "liver, spleen"
    with pytest.raises(UserError, match=rf"other labels \({names}\); .* put back the labels of dataset.json"):
        prompt_generator_of(other, Untrained)


def test_all_that_differs_is_told_at_once(make):
    student = make()
    split(student, "a", "b")
    prompt_generator_of(student, Untrained)
    split(student, "c")
    with pytest.raises(UserError, match=r"other cases .*, and on input channel .* put back the split and the channels"):
        prompt_generator_of(make(ct_channel=1, pet_channel=0), Untrained)


def test_a_generator_that_does_not_tell_is_used_with_a_line_in_the_log(make):
    student = make()
    split(student, "a", "b")
    prompt_generator_of(student, Untrained)
    assert "does not tell" not in log_of(student)
    content = torch.load(checkpoint_of(student), weights_only=False)
    del content[ENTRY]
    torch.save(content, checkpoint_of(student))
    split(student, "c")
    prompt_generator_of(student, Untrained)
    assert log_of(student).count("does not tell what it was trained on") == 1
    assert Untrained.trained == 1


def test_a_generator_trained_with_another_optimiser_is_used_again_but_not_continued(make):
    student = make()
    split(student, "a", "b")
    trained = prompt_generator_of(student, Untrained)
    again = prompt_generator_of(make(optimizer="adamw"), Untrained)
    assert Untrained.trained == 1
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    checkpoint_of(student).rename(checkpoint_of(student, LATEST))
    with pytest.raises(UserError, match=r"'optimizer' was sgd .* set it back .* Or move its folder away"):
        prompt_generator_of(make(optimizer="adamw"), Untrained)
