"""Lesions lie on top of organs, as the last label."""

import numpy as np
import pytest

from nnunetv2_muduo.autopet.target import target_labels, with_lesions_on_top
from nnunetv2_muduo.errors import UserError

ORGANS = {"background": 0, "liver": 1, "spleen": 2}


def test_labels_of_each_target():
    assert target_labels("lesions", None) == {"background": 0, "lesion": 1}
    assert target_labels("organs", ORGANS) == ORGANS
    assert target_labels("both", ORGANS) == ORGANS | {"lesion": 3}
    with pytest.raises(UserError, match="rename it"):
        target_labels("both", {"background": 0, "lesion": 1})


def test_a_voxel_that_is_both_is_lesion():
    organs, lesions = np.array([[[0, 1, 2, 2]]], np.int16), np.array([[[1, 1, 0, 1]]], np.uint8)
    merged = with_lesions_on_top(organs, lesions, value=3)
    assert (merged.tolist(), merged.dtype) == ([[[3, 3, 2, 3]]], np.uint8)
    assert with_lesions_on_top(organs, lesions, value=300).dtype == np.uint16
