import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.task import task_of

DATASET = {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, "file_ending": ".nrrd"}


def test_background_and_ignore_are_no_organs():
    task = task_of(DATASET)
    assert task.organs == {"whole": (1, 2), "core": (2,)}
    assert (task.ignore_label, task.file_ending) == (3, ".nrrd")
    assert task.known_labels == {0, 1, 2}


def test_keys_are_those_of_nnunets_summary():
    assert task_of(DATASET).keys == {"whole": "(1, 2)", "core": "2"}


def test_organs_can_be_chosen():
    assert list(task_of(DATASET, organs=["core"]).organs) == ["core"]


@pytest.mark.parametrize("options", [{"organs": ["liver"]}, {"lesions": ["liver"]}])
def test_unknown_name_is_refused(options: dict):
    with pytest.raises(UserError, match=r"no label 'liver' in dataset.json; there are: whole, core"):
        task_of(DATASET, **options)


def test_dataset_without_labels_is_refused():
    with pytest.raises(UserError, match="no labels but background"):
        task_of({"labels": {"background": 0}})
