import pytest
from nnunetv2.evaluation.evaluate_predictions import label_or_region_to_key
from nnunetv2.utilities.label_handling.label_handling import LabelManager

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.task import task_of

DATASET = {"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, "file_ending": ".nrrd"}


def test_background_and_ignore_are_no_organs():
    task = task_of(DATASET)
    assert task.organs == {"whole": (1, 2), "core": (2,)}
    assert (task.ignore_label, task.file_ending) == (3, ".nrrd")
    assert task.known_labels == {0, 1, 2}


@pytest.mark.parametrize("core", [2, [2]])
def test_keys_are_those_of_nnunets_summary(core: int | list[int]):
    labels = DATASET["labels"] | {"core": core}
    regions = LabelManager(labels, [1, 2]).foreground_regions
    assert list(task_of({"labels": labels}).keys.values()) == [label_or_region_to_key(region) for region in regions]


def test_label_in_a_list_is_no_region_where_none_has_several():
    labels = {"background": 0, "liver": [1], "spleen": [2]}
    expected = [label_or_region_to_key(label) for label in LabelManager(labels, None).foreground_labels]
    assert list(task_of({"labels": labels}).keys.values()) == expected == ["1", "2"]


def test_lone_region_keeps_its_key_where_it_is_evaluated_alone():
    assert task_of({"labels": {"background": 0, "whole": [1, 2], "core": [2]}}, organs=["core"]).keys == {
        "core": "(2,)"
    }


def test_organs_can_be_chosen():
    assert list(task_of(DATASET, organs=["core"]).organs) == ["core"]


@pytest.mark.parametrize("options", [{"organs": ["liver"]}, {"lesions": ["liver"]}])
def test_unknown_name_is_refused(options: dict):
    with pytest.raises(UserError, match=r"no label 'liver' in dataset.json; there are: whole, core"):
        task_of(DATASET, **options)


def test_dataset_without_labels_is_refused():
    with pytest.raises(UserError, match="no labels but background"):
        task_of({"labels": {"background": 0}})
