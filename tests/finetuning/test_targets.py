"""Labels become targets by their names."""

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.finetuning.targets import common_targets, stored_values, target_values
from nnunetv2_muduo.teachers.crops import IGNORED

FIRST = {"labels": {"background": 0, "liver": 1, "spleen": 2}}
SECOND = {"labels": {"background": 0, "heart": 1, "liver": 7, "ignore": 8}}


def test_labels_of_one_name_are_one_target_whatever_their_numbers() -> None:
    names = common_targets({"A": FIRST, "B": SECOND})
    assert names == ("liver", "spleen", "heart")
    assert target_values(names) == {"liver": (1,), "spleen": (2,), "heart": (3,)}
    assert stored_values(FIRST, names) == {0: 0, 1: 1, 2: 2}
    assert stored_values(SECOND, names) == {0: 0, 1: 3, 7: 1, 8: IGNORED}


def test_a_label_alone_in_a_list_is_one_like_others() -> None:
    listed = {"labels": {"background": 0, "liver": [1], "spleen": 2}}
    names = common_targets({"A": listed})
    assert names == ("liver", "spleen")
    assert stored_values(listed, names) == stored_values(FIRST, names)


def test_labels_not_asked_for_become_background() -> None:
    names = common_targets({"A": FIRST}, ["spleen"])
    assert names == ("spleen",)
    assert stored_values(FIRST, names) == {0: 0, 1: 0, 2: 1}


def test_unknown_labels_regions_and_nothing_at_all_are_refused_by_name() -> None:
    with pytest.raises(UserError, match="'pancreas'; there are: liver, spleen"):
        common_targets({"A": FIRST}, ["pancreas"])
    with pytest.raises(UserError, match="A has regions"):
        common_targets({"A": {"labels": {"background": 0, "whole": [1, 2]}}})
    with pytest.raises(UserError, match="no label to learn"):
        common_targets({"A": {"labels": {"background": 0}}})
    with pytest.raises(UserError, match="254 at most"):
        common_targets({"A": {"labels": {str(number): number for number in range(1, 300)}}})
