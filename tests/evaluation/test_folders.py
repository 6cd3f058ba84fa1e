from pathlib import Path

import numpy as np
import pytest
from evaluated_folders import DATASET, reference_labels, write_labels, write_study

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.folders import evaluate_folders
from nnunetv2_muduo.evaluation.task import task_of

TASK = task_of(DATASET, lesions=["lesion"])


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, dict[str, Path]]:
    return write_study(tmp_path)


def test_every_case_of_every_method_is_measured(study):
    found = evaluate_folders(*study, task=TASK)
    assert [case.case for case in found["poor"].cases] == ["a", "b", "c.v2 x"]
    assert found["exact"].values("Dice") == pytest.approx(np.ones((3, 3)))
    assert found["poor"].values("Dice")[:, 0] == pytest.approx([0.75] * 3)
    assert found["poor"].values("HD95")[0, 0] == 3.0  # one slice


def test_workers_find_what_one_process_finds(study):
    alone = evaluate_folders(*study, task=TASK)
    assert repr(evaluate_folders(*study, task=TASK, num_processes=2)) == repr(alone)  # as text: NaN is not NaN


def test_missing_prediction_is_named_and_left_out_on_request(study):
    reference, folders = study
    (folders["poor"] / "b.nii.gz").unlink()
    with pytest.raises(UserError, match=r"poor has no prediction of 1 case\(s\) \(b\).*--chill"):
        evaluate_folders(reference, folders, task=TASK)
    found = evaluate_folders(reference, folders, task=TASK, only_predicted=True)
    assert [case.case for case in found["exact"].cases] == ["a", "c.v2 x"]


def test_prediction_without_a_reference_is_left_out_with_a_word(study, capsys):
    reference, folders = study
    write_labels(folders["poor"], "other", reference_labels())
    found = evaluate_folders(reference, folders, task=TASK)
    assert len(found["poor"].cases) == 3
    assert "poor: 1 prediction(s) without a reference are left out (other)" in capsys.readouterr().out


def test_folder_of_other_cases_is_refused(study, tmp_path: Path):
    write_labels(tmp_path / "others", "other", reference_labels())
    with pytest.raises(UserError, match=r"No prediction in .*others has the name of a reference"):
        evaluate_folders(study[0], {"others": tmp_path / "others"}, task=TASK, only_predicted=True)


@pytest.mark.parametrize("change", ["size", "spacing"])
def test_prediction_on_another_grid_is_refused(study, change: str):
    reference, folders = study
    labels = reference_labels()
    if change == "size":
        write_labels(folders["poor"], "b", labels[1:])
    else:
        write_labels(folders["poor"], "b", labels, spacing=(3.0, 2.0, 2.5))
    with pytest.raises(
        UserError, match=rf"poor/b\.nii\.gz and .*reference/b\.nii\.gz lie on different grids \({change}"
    ):
        evaluate_folders(reference, folders, task=TASK)


@pytest.mark.parametrize(("label", "folder"), [(7, "poor"), (200, "poor"), (7, "reference")])
def test_label_that_the_dataset_does_not_name_is_refused(study, tmp_path: Path, label: int, folder: str):
    labels = reference_labels()
    labels[0, 0, 0] = label
    write_labels(tmp_path / folder, "b", labels)
    with pytest.raises(
        UserError, match=rf"{folder}/b\.nii\.gz holds label\(s\) .*{label} that dataset.json does not name"
    ):
        evaluate_folders(*study, task=TASK)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64, np.uint64])
def test_labels_may_be_stored_as_any_type(study, dtype: type):
    reference, folders = study
    before = evaluate_folders(reference, folders, task=TASK)
    for folder in (reference, folders["exact"]):
        write_labels(folder, "a", reference_labels().astype(dtype))
    assert repr(evaluate_folders(reference, folders, task=TASK)) == repr(before)


def test_probabilities_are_refused(study):
    write_labels(study[1]["poor"], "a", reference_labels() * np.float32(0.5))
    with pytest.raises(UserError, match="give label maps, not probabilities"):
        evaluate_folders(*study, task=TASK)


@pytest.mark.parametrize("folder", ["poor", "reference"])
def test_nan_which_the_reader_turns_into_background_is_refused(study, tmp_path: Path, folder: str):
    write_labels(tmp_path / folder, "a", np.where(reference_labels() == 1, np.float32(np.nan), reference_labels()))
    with pytest.raises(UserError, match=rf"label map .*{folder}/a\.nii\.gz are NaN or infinite"):
        evaluate_folders(*study, task=TASK)


def test_ignore_label_may_be_in_references_only(study):
    reference, folders = study
    task = task_of(DATASET | {"labels": {**DATASET["labels"], "ignore": 4}})
    labels = reference_labels()
    labels[0] = 4
    write_labels(reference, "a", labels)
    assert evaluate_folders(reference, folders, task=task)["exact"].values("Dice") == pytest.approx(np.ones((3, 3)))
    write_labels(folders["poor"], "a", labels)
    with pytest.raises(UserError, match=r"poor/a\.nii\.gz holds label\(s\) .*4"):
        evaluate_folders(reference, folders, task=task)
