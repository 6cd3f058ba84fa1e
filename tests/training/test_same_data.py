"""A checkpoint goes on, and is validated, with the data it was trained on."""

import copy
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from fabricated_training import PATCH, trainers_in
from planned_dataset import DATASET_JSON, unet_plans

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.prompt_trainer import prompt_generator_of
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.training import configured
from nnunetv2_muduo.training.same_data import ENTRY, refuse_other_data


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(configured, "refuse_cut_short", lambda folder, cases: None)  # these have names alone
    return trainers_in(tmp_path, monkeypatch)


def split(trainer: SemiSupervisedTrainer, training: str, validation: str) -> None:
    """Each letter is a case."""
    folds = [{"train": list(training), "val": list(validation)}]
    Path(trainer.preprocessed_dataset_folder_base, "splits_final.json").write_text(json.dumps(folds))


@pytest.fixture
def checkpoint(make, tmp_path: Path) -> Path:
    """Trained on a and b, with c held out."""
    trainer, file = make(), tmp_path / "checkpoint_final.pth"
    split(trainer, "ab", "c")
    trainer.get_tr_and_val_datasets()
    trainer.save_checkpoint(str(file))
    return file


@pytest.mark.parametrize(
    ("training", "validation", "known"),
    [("ab", "c", ""), ("a", "c", ""), ("abd", "c", ""), ("abc", "abc", ""), ("ac", "b", "b"), ("cd", "ab", "a")],
)
@pytest.mark.parametrize("continues", [True, False])
def test_no_case_is_held_out_that_was_trained_on(make, checkpoint, training, validation, known, continues: bool):
    trainer = make(continues=continues)
    split(trainer, training, validation)
    told = rf"trained on {len(validation)} of the {len(validation)} validation cases .*first: {known}\).*splits_final"
    with pytest.raises(UserError, match=told) if known else nullcontext():
        trainer.load_checkpoint(str(checkpoint))


def test_cases_of_all_splits_that_a_training_had_are_remembered(make, checkpoint, tmp_path: Path):
    trainer = make(continues=True)
    split(trainer, "ad", "c")
    trainer.load_checkpoint(str(checkpoint))
    trainer.get_tr_and_val_datasets()
    trainer.save_checkpoint(str(tmp_path / "later.pth"))
    assert torch.load(tmp_path / "later.pth", weights_only=False)[ENTRY] == ["a", "b", "d"]
    split(trainer, "ad", "b")
    with pytest.raises(UserError, match="first: b"):
        trainer.do_split()


def test_trainers_with_an_average_and_prompt_generators_remember_them_too(make, tmp_path: Path):
    for trainer_class in (nnUNetTrainerMuDuoSupervised, nnUNetTrainerMuDuoPrompt):
        trainer = make(trainer_class=trainer_class, predict_with="ema")
        split(trainer, "ab", "c")
        trainer.get_tr_and_val_datasets()
        trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
        assert torch.load(tmp_path / "checkpoint.pth", weights_only=False)[ENTRY] == ["a", "b"]


@pytest.mark.parametrize("continues", [True, False])
def test_outputs_that_would_be_other_organs_are_refused_by_name(make, checkpoint, continues: bool):
    swapped = {**DATASET_JSON, "labels": {"background": 0, "liver": 2, "spleen": 1}}
    with pytest.raises(UserError, match=r"labels .* were others .*\(liver, spleen\).* other organs"):
        make(continues=continues, dataset_json=swapped).load_checkpoint(str(checkpoint))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda plans: plans["configurations"]["3d_fullres"].update(spacing=[5.0, 2.0, 2.0]), "spacing"),
        (lambda plans: plans["foreground_intensity_properties_per_channel"]["0"].update(mean=77.0), "intensities"),
        (lambda plans: plans.update(transpose_forward=[2, 1, 0]), "transpose_forward"),
        (lambda plans: plans["configurations"]["3d_fullres"].update(batch_size=7), ""),
        (lambda plans: plans.update(muduo={"points": 7}), ""),
    ],
)
def test_images_that_were_made_otherwise_are_refused_by_what_differs(change, named: str):
    plans = unet_plans(patch_size=PATCH, features=4)
    begun = {"plans": copy.deepcopy(plans), "configuration": "3d_fullres", "dataset_json": DATASET_JSON}
    change(plans)
    with pytest.raises(UserError, match=rf"prepared scans otherwise .*\({named}\)") if named else nullcontext():
        refuse_other_data(begun, plans=plans, configuration="3d_fullres", dataset_json=DATASET_JSON)


def test_a_prompt_generator_of_other_images_is_refused(make):
    class Untrained(nnUNetTrainerMuDuoPrompt):
        def run_training(self) -> None:
            self.get_tr_and_val_datasets()
            self.save_checkpoint(str(Path(self.output_folder) / "checkpoint_final.pth"))

    student = make()
    split(student, "ab", "c")
    prompt_generator_of(student, Untrained)
    prompt_generator_of(student, Untrained)
    student.plans_manager.plans["configurations"]["3d_fullres"]["spacing"] = [5.0, 2.0, 2.0]
    with pytest.raises(
        UserError, match=r"prompt generator .* prepared scans otherwise .*\(spacing\).* move its folder"
    ):
        prompt_generator_of(student, Untrained)
