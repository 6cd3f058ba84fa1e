"""Prompts by nnU-Net's own predictor: what is predicted, what is skipped and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.inference import predict_from_raw_data
from pseudo_project import DATASET_JSON, SHAPE, PseudoProject, write, write_project

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.pseudo_labelling.case_files import CaseJob
from nnunetv2_muduo.pseudo_labelling.prompt_maps import PromptModel, predict_prompts
from nnunetv2_muduo.pseudo_labelling.recipe import plain_organs

LABELS = {"background": 0, "liver": 1, "spleen": 2, "bladder": 3}


class StubPredictor:
    """Writes a map of label 1 for whatever it is given, and remembers the cases."""

    predicted: list[str]

    def __init__(self, **options) -> None:
        pass

    def initialize_from_trained_model_folder(self, folder: str, folds: tuple, checkpoint: str) -> None:
        type(self).folds = folds

    def predict_from_files_sequential(self, inputs: list, outputs: list) -> None:
        for output in outputs:
            self.predicted.append(Path(output).name)
            write(np.ones(SHAPE, np.uint8), Path(f"{output}.nii.gz"))


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> type[StubPredictor]:
    monkeypatch.setattr(predict_from_raw_data, "nnUNetPredictor", StubPredictor)
    StubPredictor.predicted = []
    return StubPredictor


@pytest.fixture
def project(tmp_path: Path) -> PseudoProject:
    return write_project(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> PromptModel:
    folder = tmp_path / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    for fold in ("0", "3", "all"):
        (folder / f"fold_{fold}").mkdir(parents=True)
        torch.save({"_best_ema": np.float64(0.5)}, folder / f"fold_{fold}" / "checkpoint_final.pth")
    (folder / "plans.json").write_text('{"configurations": {}}')
    (folder / "dataset.json").write_text(json.dumps(DATASET_JSON))
    return PromptModel(folder)


def jobs(project: PseudoProject) -> list[CaseJob]:
    return [
        CaseJob(
            case,
            tuple(project.raw / "imagesUn" / f"{case}_000{channel}.nii.gz" for channel in (0, 1)),
            project.out / f"{case}.nii.gz",
            ("CT", "PET"),
            (0, 1),
            ".nii.gz",
            frozenset(LABELS.values()),
        )
        for case in ("pat 0.v1", "pat 1.v1")
    ]


def predict(model: PromptModel, project: PseudoProject) -> dict[str, str]:
    cpu = torch.device("cpu")
    return predict_prompts(model, jobs(project), project.out, labels=LABELS, device=cpu, num_processes=0)


def test_what_is_there_is_skipped_and_what_changed_is_predicted_again(
    predictor: type[StubPredictor], model: PromptModel, project: PseudoProject
):
    assert predict(model, project) == {}
    assert predictor.predicted == ["pat 0.v1", "pat 1.v1"]
    predict(model, project)
    assert len(predictor.predicted) == 2
    scan = project.raw / "imagesUn" / "pat 1.v1_0000.nii.gz"
    write(np.random.default_rng(5).random(SHAPE).astype(np.float32), scan)
    predict(model, project)
    assert predictor.predicted[2:] == ["pat 1.v1"]
    half = (project.out / "pat 0.v1.nii.gz").read_bytes()[:-20]
    (project.out / "pat 0.v1.nii.gz").write_bytes(half)
    predict(model, project)
    assert predictor.predicted[3:] == ["pat 0.v1"]
    (project.out / "pat 1.v1.nii.gz").write_bytes(b"")
    predict(model, project)
    assert predictor.predicted[4:] == ["pat 1.v1"]
    torch.save({"_best_ema": np.float64(0.75), "epoch": 2}, model.folder / "fold_0" / "checkpoint_final.pth")
    predict(model, project)
    assert predictor.predicted[5:] == ["pat 0.v1", "pat 1.v1"]


@pytest.mark.parametrize("record", ["[]", "[" * 100_000, '{"scans": [1]}'])
def test_a_damaged_record_of_predictions_counts_for_nothing(
    predictor: type[StubPredictor], model: PromptModel, project: PseudoProject, record: str
):
    predict(model, project)
    (project.out / "made_from.json").write_text(record)
    predict(model, project)
    assert predictor.predicted[2:] == ["pat 0.v1", "pat 1.v1"]


def test_model_whose_plans_are_none_is_refused(model: PromptModel, project: PseudoProject):
    (model.folder / "plans.json").write_text('{"configurations": []}')
    with pytest.raises(UserError, match=r"plans\.json: 'configurations' is \[\]"):
        predict(model, project)


def test_a_bad_scan_is_not_predicted(predictor: type[StubPredictor], model: PromptModel, project: PseudoProject):
    scan = project.raw / "imagesUn" / "pat 0.v1_0001.nii.gz"
    scan.write_bytes(scan.read_bytes()[:-500])
    problems = predict(model, project)
    assert "truncated" in problems["pat 0.v1"]
    assert predictor.predicted == ["pat 1.v1"]


def test_all_folds_are_an_ensemble_and_the_model_of_all_cases_is_another(
    predictor: type[StubPredictor], model: PromptModel, project: PseudoProject
):
    predict(model, project)
    assert predictor.folds == (0, 3)
    predict(PromptModel(model.folder, ("all",)), project)
    assert predictor.folds == ("all",)


def test_model_that_is_not_there_is_refused(model: PromptModel, project: PseudoProject, tmp_path: Path):
    with pytest.raises(UserError, match="no trained nnU-Net model"):
        predict(PromptModel(tmp_path), project)
    with pytest.raises(UserError, match=r"fold 1.*folds with one: 0, 3, all"):
        predict(PromptModel(model.folder, ("1",)), project)
    with pytest.raises(UserError, match="checkpoint_best"):
        predict(PromptModel(model.folder, None, "checkpoint_best.pth"), project)


def test_model_that_would_execute_something_is_refused(
    predictor: type[StubPredictor], model: PromptModel, project: PseudoProject
):
    torch.save({"network_weights": Path("no tensor")}, model.folder / "fold_3/checkpoint_final.pth")
    with pytest.raises(UserError, match=r"fold_3.checkpoint_final\.pth.*Path"):
        predict(model, project)
    assert predictor.predicted == []


def describe(model: PromptModel, **changes) -> None:
    (model.folder / "dataset.json").write_text(json.dumps({**DATASET_JSON, **changes}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"channel_names": {"0": "PET", "1": "CT"}}, "sees the channels PET, CT, but the scans have CT, PET"),
        ({"channel_names": {"0": "CT"}}, "sees the channels CT, but the scans have CT, PET"),
        ({"file_ending": ".nrrd"}, r"reads \.nrrd files, but the scans are \.nii\.gz"),
    ],
)
def test_model_of_other_scans_is_refused(model: PromptModel, project: PseudoProject, changes: dict, told: str):
    describe(model, **changes)
    with pytest.raises(UserError, match=told):
        predict(model, project)


def test_names_of_channels_in_other_letters_are_the_same(
    predictor: type[StubPredictor], model: PromptModel, project: PseudoProject
):
    describe(model, channel_names={"0": "ct", "1": "Pet"})
    assert predict(model, project) == {}


def test_second_stage_of_a_cascade_is_refused(model: PromptModel, project: PseudoProject):
    plans = {"configurations": {"3d_fullres": {"previous_stage": "3d_lowres"}}}
    (model.folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(UserError, match=r"second stage of a cascade.*--predictions"):
        predict(model, project)


def test_model_with_other_labels_is_refused(model: PromptModel, project: PseudoProject):
    describe(model, labels={"background": 0, "spleen": 1})
    with pytest.raises(UserError, match="trained with the dataset's own labels"):
        predict(model, project)


def test_a_label_alone_in_a_list_is_the_same(
    predictor: type[StubPredictor], model: PromptModel, project: PseudoProject
):
    listed = {**LABELS, "spleen": [2]}
    describe(model, labels=listed)
    assert predict(model, project) == {}
    assert {"background": 0, **plain_organs({"labels": listed})} == LABELS


def test_ignore_label_of_the_model_does_not_matter(
    predictor: type[StubPredictor], model: PromptModel, project: PseudoProject
):
    describe(model, labels={**LABELS, "ignore": 4})
    assert predict(model, project) == {}
