"""`muduo evaluate` from the command line."""

import json
from pathlib import Path

import pytest
from evaluated_folders import DATASET, write_study

from nnunetv2_muduo import cli
from nnunetv2_muduo.evaluation import folders


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_study(tmp_path)
    return tmp_path


def evaluate(root: Path, *arguments: str) -> int:
    return cli.main(["evaluate", str(root / "reference"), *arguments, "-o", str(root / "out"), "-np", "1"])


def test_one_folder_gives_rows_summary_and_a_table(study: Path, capsys):
    assert evaluate(study, str(study / "poor")) == 0  # names from the dataset.json beside the predictions
    files = ["methods.json", "metrics.csv", "summary.json", "summary.md"]
    assert sorted(path.name for path in (study / "out").iterdir()) == files
    assert "| spleen" in capsys.readouterr().out
    assert json.loads((study / "out" / "summary.json").read_text())["mean"]["1"]["Dice"] == pytest.approx(0.75)


def test_summary_of_nnunets_own_is_not_replaced_and_ours_is(study: Path, capsys):
    (study / "out").mkdir()
    file = study / "out" / "summary.json"
    file.write_text(json.dumps({"foreground_mean": {"Dice": 0.5}, "mean": {}, "metric_per_case": []}))
    before = file.read_text()
    assert evaluate(study, str(study / "poor")) == 2
    assert "is nnU-Net's own and would be lost" in capsys.readouterr().err
    assert file.read_text() == before
    file.unlink()
    assert evaluate(study, str(study / "poor")) == evaluate(study, str(study / "exact")) == 0
    assert json.loads(file.read_text())["mean"]["1"]["Dice"] == 1


@pytest.mark.parametrize(
    "compare", [["{}/exact", "--compare", "rough={}/poor"], ["--compare", "{}/exact", "rough={}/poor"]]
)
def test_comparison_is_with_the_first_folder(study: Path, capsys, compare: list[str]):
    assert evaluate(study, *(word.format(study) for word in compare), "--lesions", "lesion") == 0
    assert "rough minus exact" in capsys.readouterr().out
    found = json.loads((study / "out" / "differences.json").read_text())["differences"]
    assert {row["metric"] for row in found} == {"Dice", "HD95", "ASD", "RAVD", "FPV_ml", "FNV_ml"}
    assert (study / "out" / "rough" / "metrics.csv").is_file()


def test_lesions_are_recognised_by_name_and_their_measures_suggested(study: Path, capsys):
    suggestion = "Add --lesions lesion to see"
    evaluate(study, str(study / "poor"))
    assert suggestion in capsys.readouterr().out
    evaluate(study, str(study / "poor"), "--lesions", "lesion")
    evaluate(study, str(study / "poor"), "--organs", "liver", "spleen")
    assert suggestion not in capsys.readouterr().out


def test_labels_come_from_the_dataset_where_one_is_named(study: Path, monkeypatch):
    folder = study / "raw" / "Dataset221_Test"
    folder.mkdir(parents=True)
    content = DATASET | {"labels": {"background": 0, "hepar": 1, "lien": 2, "meta": 3}}
    (folder / "dataset.json").write_text(json.dumps(content))
    monkeypatch.setenv("nnUNet_raw", str(study / "raw"))
    assert evaluate(study, str(study / "poor"), "-d", "221", "--organs", "lien") == 0
    assert list(json.loads((study / "out" / "summary.json").read_text())["mean"]) == ["2"]
    assert "lien,missed" in (study / "out" / "metrics.csv").read_text()


def test_results_that_cannot_be_written_are_told_before_any_case_is_measured(study: Path, monkeypatch, capsys):
    (study / "out").touch()
    monkeypatch.setattr(folders, "run_jobs", lambda *_, **__: pytest.fail("measured all cases for nothing"))
    assert evaluate(study, str(study / "poor")) == 2
    assert f"ERROR: {study / 'out'} cannot be written or read: Not a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "There are no predictions to evaluate"),
        (["{}/nowhere", "-djfile", "{}/poor/dataset.json"], "There is no folder"),
        (["{}/reference"], "give the dataset with -d or --dataset-json"),
        (["{}/poor", "--lesions", "tumour"], "no label 'tumour' in dataset.json"),
        (["{}/poor", "--organs", "liver", "--lesions", "lesion"], "--lesions lesion is not among --organs liver"),
    ],
)
def test_mistakes_are_answered_in_one_sentence(study: Path, capsys, arguments: list[str], sentence: str):
    assert evaluate(study, *(word.format(study) for word in arguments)) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
