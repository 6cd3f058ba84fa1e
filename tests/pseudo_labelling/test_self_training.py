"""Predictions laid out as labels: self-training without teachers."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from doc_pages import ROOT
from pseudo_project import DATASET, DATASET_JSON, PseudoProject, organs, write, write_project

from nnunetv2_muduo.cli import main
from nnunetv2_muduo.pseudo_labelling.self_training import self_training_commands

CASES = ("pat 0.v1", "pat 1.v1")
NEW = "Dataset022_TinyPseudo"


@pytest.fixture
def project(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> PseudoProject:
    monkeypatch.setenv("MUDUO_WEIGHTS", str(nnunet_folders / "no weights"))
    return write_project(nnunet_folders)


def lay_out(project: PseudoProject, *more: str) -> int:
    predictions = ["--predictions", str(project.predictions), "--no-teachers", "-np", "0", "-device", "cpu"]
    return main(["pseudo-label", "-d", "21", *predictions, "--as-labels", "22", *more])


def array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_predictions_become_labels_voxel_by_voxel_beside_the_labelled_cases(project: PseudoProject):
    assert lay_out(project) == 0
    folder = project.raw.with_name(NEW)
    content = json.loads((folder / "dataset.json").read_text())
    assert content["labels"] == DATASET_JSON["labels"], "nothing is ignored"
    assert content["numTraining"] == 4
    cases = sorted(path.name for path in (folder / "labelsTr").iterdir())
    assert cases == sorted(f"{case}.nii.gz" for case in (*CASES, "labelled_0", "labelled_1"))
    for case in CASES:
        label_map = folder / "labelsTr" / f"{case}.nii.gz"
        assert np.array_equal(array(label_map), array(project.predictions / f"{case}.nii.gz"))
        image, scan = sitk.ReadImage(str(label_map)), folder / "imagesTr" / f"{case}_0000.nii.gz"
        assert scan.is_symlink()
        assert image.GetDirection() == pytest.approx(sitk.ReadImage(str(scan)).GetDirection(), abs=1e-6)
    assert not project.out.exists()


def test_what_is_printed_moves_the_plans_of_the_source_as_the_documentation_does(
    project: PseudoProject, tmp_path: Path, capsys
):
    assert lay_out(project) == 0
    assert "Train with: nnUNetv2_plan_and_preprocess -d 22 -c 3d_fullres" in capsys.readouterr().out, "no plans yet"
    plans = tmp_path / "nnUNet_preprocessed" / DATASET / "OurPlans.json"
    plans.parent.mkdir(parents=True)
    plans.write_text(json.dumps({"configurations": {"3d_lowres": {}}}))
    assert lay_out(project, "-p", "OurPlans", "-c", "3d_lowres") == 0
    printed = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("nnUNetv2_")]
    assert printed == list(self_training_commands(21, 22, plans_name="OurPlans", configuration="3d_lowres"))
    assert "nnUNetv2_move_plans_between_datasets -s 21 -t 22 -sp OurPlans -tp OurPlans21" in printed
    page = (ROOT / "docs" / "baselines.md").read_text()  # whose commands a test hands to nnU-Net's own parsers
    for line in self_training_commands(221, 322, plans_name="nnUNetPlans", configuration="3d_fullres"):
        assert f"    {line}\n" in page


def test_folds_validate_on_labelled_cases_alone(project: PseudoProject, tmp_path: Path):
    preprocessed = tmp_path / "nnUNet_preprocessed"
    (preprocessed / DATASET).mkdir(parents=True)
    splits = [{"train": ["labelled_0"], "val": ["labelled_1"]}]
    (preprocessed / DATASET / "splits_final.json").write_text(json.dumps(splits))
    assert lay_out(project) == 0
    written = json.loads((preprocessed / NEW / "splits_final.json").read_text())
    assert written == [{"train": sorted(["labelled_0", *CASES]), "val": ["labelled_1"]}]


def test_scans_without_a_fitting_prediction_are_left_out_with_the_reason(project: PseudoProject, capsys):
    write(organs()[:-1], project.predictions / f"{CASES[0]}.nii.gz")
    assert lay_out(project, "--without-labelled", "--copy") == 0
    folder = project.raw.with_name(NEW)
    assert [path.name for path in (folder / "labelsTr").iterdir()] == [f"{CASES[1]}.nii.gz"]
    assert not (folder / "imagesTr" / f"{CASES[1]}_0000.nii.gz").is_symlink()
    assert f"  {CASES[0]}: " in capsys.readouterr().out


def test_mistakes_are_told(project: PseudoProject, capsys):
    predictions = ["--predictions", str(project.predictions)]
    base = ["pseudo-label", "-d", "21", *predictions, "--no-teachers"]
    for arguments, told in (
        (base, "--as-labels"),
        ([*base, "--as-labels", "22", "--ct-teacher", "ct.pth"], "--ct-teacher"),
        (["pseudo-label", "-d", "21", *predictions], "-o OUT"),
        (["pseudo-label", "-d", "21", "--model", "m", "--no-teachers", "--as-labels", "22"], "-o OUT"),
    ):
        assert main(arguments) == 2
        assert told in capsys.readouterr().err


def test_a_folder_without_predictions_leaves_what_was_laid_out_before(project: PseudoProject, capsys):
    assert lay_out(project) == 0
    folder = project.raw.with_name(NEW)
    before = sorted(path.name for path in folder.rglob("*"))
    for file in project.predictions.iterdir():
        file.unlink()
    assert lay_out(project) == 2
    assert f"None of the 2 scans has a prediction in {project.predictions}" in capsys.readouterr().err
    assert sorted(path.name for path in folder.rglob("*")) == before


def test_predictions_of_another_grid_alone_are_told(project: PseudoProject, capsys):
    for case in CASES:
        write(organs()[:-1], project.predictions / f"{case}.nii.gz")
    assert lay_out(project) == 2
    assert "None of the 2 scans has a prediction that can be used" in capsys.readouterr().err
