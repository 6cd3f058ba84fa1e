"""Slices are chosen, and outlined where there is a contour."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from nnunetv2_muduo.evaluation.scan_slices import fullest_slice, outline


def test_the_fullest_slice_holds_most_of_a_mask():
    mask = np.zeros((6, 9, 7), bool)
    mask[2, 3:8, 5] = mask[4, 3, 5] = True
    assert [fullest_slice(mask, axis) for axis in range(3)] == [2, 3, 5]


def test_without_a_mask_it_is_the_middle_one():
    assert [fullest_slice(np.zeros((6, 9, 7), bool), axis) for axis in range(3)] == [3, 4, 3]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("part", "contours"), [(slice(0), 0), (slice(2, 4), 1), (slice(None), 0)])
def test_a_mask_without_a_border_has_no_outline(part: slice, contours: int):
    figure, axis = plt.subplots()
    mask = np.zeros((6, 7), bool)
    mask[part] = True
    outline(axis, mask, "red")
    assert len(axis.collections) == contours
    plt.close(figure)
