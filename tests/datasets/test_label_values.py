"""Label maps hold what was named, and nothing else."""

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.label_values import checked_label, label_values
from nnunetv2_muduo.errors import UserError


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_values_are_those_of_numpy(kind):
    array = np.random.default_rng(0).choice([0, 3, 4, 200 if kind == np.uint8 else 2000], (5, 6, 7)).astype(kind)
    assert label_values(array) == np.unique(array).tolist()
    array[2:] = 0
    assert label_values(array) == np.unique(array).tolist()
    assert label_values(array[2:]) == [0]
    assert label_values(np.ones_like(array)) == [1]


def test_whole_numbers_stay_the_object_they_are():
    label = sitk.GetImageFromArray(np.ones((3, 4, 5), np.uint8))
    assert checked_label(label, {0, 1}, remedy="none") is label


def test_other_types_become_small_integers():
    label = sitk.GetImageFromArray(np.ones((3, 4, 5), np.float32))
    assert checked_label(label, {0, 1}, remedy="none").GetPixelID() == sitk.sitkUInt8
    assert checked_label(label, {0, 1, 300}, remedy="none").GetPixelID() == sitk.sitkUInt16


def test_unnamed_values_are_refused_with_the_remedy():
    label = sitk.GetImageFromArray(np.full((3, 4, 5), 1.5, np.float32))
    with pytest.raises(UserError, match=r"the label holds 1.5, .*\(name it\)"):
        checked_label(label, {0, 1}, remedy="name it")
