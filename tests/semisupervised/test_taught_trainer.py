"""Trainers with promptable teachers weigh organs by a report on cases that must not be trained on."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fabricated_training import batch, trainers_in

from nnunetv2_muduo.semisupervised.monitoring import (
    told_judged_on_training_cases,
    told_not_judged,
    told_of_other_orders,
)
from nnunetv2_muduo.semisupervised.teacher_report import SOURCES, TeacherReport
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerSemiSAM import nnUNetTrainerSemiSAM
from nnunetv2_muduo.training import configured

TOLD = "train a fold that holds cases out, or set reliability=none"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(configured, "refuse_cut_short", lambda folder, cases: None)  # these have names alone
    return trainers_in(tmp_path, monkeypatch)


def log_of(trainer: nnUNetTrainerMuDuo) -> str:
    """What a trainer writes down when it has found its cases."""
    trainer.get_tr_and_val_datasets()
    return Path(trainer.log_file).read_text()


def use_split(trainer: nnUNetTrainerMuDuo, training: list[str], validation: list[str]) -> None:
    folds = [{"train": training, "val": validation}]
    Path(trainer.preprocessed_dataset_folder_base, "splits_final.json").write_text(json.dumps(folds))


@pytest.mark.parametrize("trainer_class", [nnUNetTrainerMuDuo, nnUNetTrainerSemiSAM])
@pytest.mark.parametrize(("reliability", "warned"), [("none", False), ("report", True), ("gate", True)])
def test_fold_all_is_warned_of_where_organs_are_weighed(make, trainer_class: type, reliability: str, warned: bool):
    trainer = make(trainer_class=trainer_class, reliability=reliability)
    trainer.fold = "all"
    assert log_of(trainer).count(TOLD) == warned


def test_a_split_that_holds_cases_out_is_not_warned_of_and_one_that_overlaps_is(make):
    trainer = make(trainer_class=nnUNetTrainerMuDuo, reliability="report")
    use_split(trainer, ["a", "b"], ["c", "d"])
    assert TOLD not in log_of(trainer)
    use_split(trainer, ["a", "b", "c"], ["c", "d"])
    assert "is trained on 1 of these 2" in log_of(trainer)


def test_nothing_is_told_of_parts_without_a_common_case():
    assert told_judged_on_training_cases(["a"], ["b"]) == ""
    assert told_judged_on_training_cases(["a"], []) == ""


@pytest.mark.parametrize(("reliability", "warned"), [("none", False), ("report", True), ("gate", True)])
def test_healthy_validation_cases_leave_the_teachers_no_weight_and_that_is_told(make, reliability: str, warned: bool):
    trainer = make(trainer_class=nnUNetTrainerMuDuo, reliability=reliability)
    unseen = report_of(*[np.nan] * len(trainer.organs))
    assert unseen.reliability().tolist() == unseen.gates().tolist() == [0.0] * len(trainer.organs)
    trainer.monitor = SimpleNamespace(report=lambda teaching: unseen)
    trainer.teaching = SimpleNamespace(randomness=torch.Generator())
    trainer.on_train_epoch_start()
    assert Path(trainer.log_file).read_text().count("unlabelled scans teach nothing of it") == warned


def test_organs_that_report_patches_show_are_judged():
    assert told_not_judged(report_of(0.5, 0.0)) == ""
    assert told_not_judged(report_of(0.5, np.nan)).startswith("No labelled patch of the teacher report shows organ 1,")


def report_of(*dice: float) -> TeacherReport:
    """A report in which everyone has this Dice of each organ."""
    return TeacherReport(tuple(f"organ {k}" for k in range(len(dice))), dict.fromkeys(SOURCES, np.array(dice)))


def test_scans_that_teachers_would_see_lying_on_a_side_are_told_of(make):
    trainer = make(trainer_class=nnUNetTrainerMuDuo, ct_teacher="standin_ct", pet_teacher="standin_pet")
    trainer.load_teachers()
    teaching = trainer.teaching_with(None)
    stored = {"a": "LPS", "b": "RAS", "c": None}
    assert told_of_other_orders(stored, teaching) == ""
    told = told_of_other_orders(stored | {"b": "SAR"}, teaching)
    assert told.startswith("1 of 3 scan(s) are not stored in axial slices (the first: b, SAR)")


@pytest.mark.parametrize("trainer_class", [nnUNetTrainerMuDuo, nnUNetTrainerSemiSAM])
def test_teachers_are_told_how_the_scan_of_each_patch_is_stored(make, trainer_class: type):
    unlabelled = {**batch()["unlabelled"], "orientations": ["LPS", "RAS"]}
    assert make(trainer_class=trainer_class).patches_of(unlabelled).orientations == ["LPS", "RAS"]


def test_organs_weigh_and_are_labelled_as_the_newest_report_has_it_also_in_epochs_without_one_and_when_resumed(
    make, tmp_path: Path
):
    options = {"trainer_class": nnUNetTrainerMuDuo, "reliability": "gate", "fusion": "report", "report_every": 2}
    options["prompts_label"] = True
    trainer = make(**options)
    trainer.teaching = SimpleNamespace(randomness=torch.Generator())
    gates, shares, by_prompts = [], [], []
    for epoch, fused in enumerate(([0.9, 0.9], None, [0.1, 0.9], None)):
        report = fused and TeacherReport(
            trainer.organs,
            dict.fromkeys(SOURCES, np.array([0.5, 0.5])) | {"fused": np.array(fused)},
            ct_share=np.array([1.0, 0.5]) if epoch else np.array([0.0, 0.5]),
            by_prompts=np.array([bool(epoch), False]),
        )
        trainer.monitor = SimpleNamespace(report=lambda teaching, report=report: report)
        trainer.current_epoch = epoch
        trainer.on_train_epoch_start()
        gates.append(trainer.organ_weights.tolist())
        shares.append(trainer.ct_share.tolist())
        by_prompts.append(trainer.by_prompts.tolist())
        trainer.logger.log("train_losses", 0.0, epoch)
    assert gates == [[1, 1], [1, 1], [0, 1], [0, 1]]
    assert shares == [[0, 0.5], [0, 0.5], [1, 0.5], [1, 0.5]]
    assert by_prompts == [[False, False], [False, False], [True, False], [True, False]]
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))

    resumed = make(**options, continues=True)
    resumed.teaching = SimpleNamespace(randomness=torch.Generator())
    resumed.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    resumed.current_epoch = 5
    resumed._use_newest_report()
    assert resumed.organ_weights.tolist() == [0, 1]
    assert resumed.ct_share.tolist() == [1, 0.5]
    assert resumed.by_prompts.tolist() == [True, False]
