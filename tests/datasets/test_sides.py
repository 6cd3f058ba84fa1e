"""Which labels a mirrored scan confuses."""

import pytest

from nnunetv2_muduo.datasets.sides import left_and_right, told_pairs


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("kidney_left", "kidney_right"),
        ("left kidney", "right kidney"),
        ("Left Kidney", "right-kidney"),
        ("KidneyLeft", "KidneyRight"),
        ("kidney L", "kidney R"),
        ("lung_upper_lobe_left", "lung_upper_lobe_right"),
    ],
)
def test_labels_that_differ_by_their_side_alone_are_a_pair(left: str, right: str):
    assert left_and_right(["background", right, "liver", left]) == [(left, right)]


def test_an_organ_with_one_side_and_words_that_only_begin_like_one_are_none():
    labels = ["left atrium", "right ventricle", "leftover", "rightover", "kidney_left", "spleen", "left", "l1", "r1"]
    assert left_and_right(labels) == []


def test_pairs_are_told_organ_by_organ():
    pairs = left_and_right(["kidney_left", "lung_right", "kidney_right", "lung_left"])
    assert told_pairs(pairs) == "kidney_left and kidney_right; lung_left and lung_right"
