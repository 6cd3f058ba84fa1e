"""The dataset that cases are put into."""

import json
from pathlib import Path

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.dataset import labels_from, open_dataset, parse_labels

CONTENT = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".mha"}


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    for variable in ("nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def existing(raw: Path, **changed) -> Path:
    (raw / "Dataset230_X").mkdir()
    (raw / "Dataset230_X" / "dataset.json").write_text(json.dumps(CONTENT | {"licence": "?"} | changed))
    return raw / "Dataset230_X"


def test_a_new_dataset_counts_its_labelled_cases_when_it_is_finished(raw):
    dataset = open_dataset("Dataset230_X", labels={"background": 0, "lesion": 1})
    assert not dataset.folder.exists()
    dataset.folder.mkdir()
    (dataset.folder / "imagesTr").mkdir()
    for name in ("a_0000", "a_0001", "b_0000", "b_0001"):
        (dataset.folder / "imagesTr" / f"{name}.nii.gz").touch()
    dataset.finish()
    assert json.loads((dataset.folder / "dataset.json").read_text()) == {
        **CONTENT,
        "file_ending": ".nii.gz",
        "numTraining": 2,
    }


@pytest.mark.parametrize("name", ["Dataset230_X", "230"])
def test_an_existing_dataset_keeps_what_its_json_says(raw, name):
    existing(raw)
    dataset = open_dataset(name)
    assert dataset.ending == ".mha"
    assert dataset.label_values == {0, 1}
    dataset.finish()
    assert json.loads((raw / "Dataset230_X" / "dataset.json").read_text())["licence"] == "?"


def test_values_of_regions_and_of_the_ignore_label_are_known(raw):
    existing(raw, labels={"background": 0, "whole": [1, 2], "core": 2, "ignore": 3})
    assert open_dataset("Dataset230_X").label_values == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"channel_names": {"0": "PET", "1": "CT"}}, "not CT and PET"),
        ({"dataset": {}}, "one by one"),
        ({"file_ending": ".png"}, "does not say its format"),
        ({"labels": None}, "'labels' is None"),
    ],
)
def test_a_dataset_that_does_not_fit_is_refused(raw, changed, words):
    existing(raw, **changed)
    with pytest.raises(UserError, match=words):
        open_dataset("Dataset230_X", labels={"background": 0, "lesion": 1})


def test_labels_may_change_until_there_are_labelled_cases_and_be_added_to_then(raw):
    folder = existing(raw, labels={"background": 0, "liver": 1})
    lesion = {"background": 0, "lesion": 1}
    assert open_dataset("Dataset230_X", labels=lesion).label_values == {0, 1}
    (folder / "imagesTr").mkdir()
    (folder / "imagesTr" / "a_0000.mha").touch()
    with pytest.raises(UserError, match=r"labelled cases with .*liver.*leave --labels out"):
        open_dataset("Dataset230_X", labels=lesion)
    assert open_dataset("Dataset230_X", labels={"background": 0, "liver": 1, "lesion": 2}).label_values == {0, 1, 2}


def test_numbers_are_not_taken_twice(raw):
    existing(raw)
    with pytest.raises(UserError, match="taken by Dataset230_X"):
        open_dataset("Dataset230_Y")
    with pytest.raises(UserError, match=r"no dataset '231'.*such as Dataset231_PETCT"):
        open_dataset("231")
    with pytest.raises(UserError, match="give a name such as"):
        open_dataset("PETCT")
    with pytest.raises(UserError, match="give a name such as"):
        open_dataset("Dataset231_a/../../elsewhere")


def test_labels_are_read_from_words_and_from_files(tmp_path):
    assert parse_labels(["tumour=core=1", "organ=2"]) == {"background": 0, "tumour=core": 1, "organ": 2}
    (tmp_path / "dataset.json").write_text(json.dumps(CONTENT))
    assert labels_from(tmp_path / "dataset.json") == {"background": 0, "lesion": 1}
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(UserError, match='has no "labels"'):
        labels_from(tmp_path / "other.json")


@pytest.mark.parametrize("words", [["lesion"], ["lesion=x"], ["=1"], ["a=1", "a=2"], ["a=2"], ["a=1", "b=1"]])
def test_labels_that_nnunet_would_not_take_are_refused(words):
    with pytest.raises(UserError, match=r"NAME=VALUE|without a gap"):
        parse_labels(words)
