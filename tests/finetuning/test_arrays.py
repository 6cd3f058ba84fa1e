"""Coarsening keeps everything at its place in the patient."""

import numpy as np
import pytest
import SimpleITK

from nnunetv2_muduo.finetuning.arrays import at_least_spaced


def test_a_coarsened_ramp_tells_the_place_of_each_voxel() -> None:
    z, y, x = np.meshgrid(*(np.arange(length, dtype=np.float32) for length in (24, 30, 18)), indexing="ij")
    spacing, origin = (1.0, 2.0, 5.0), (-7.0, 3.0, 11.0)
    image = SimpleITK.GetImageFromArray(origin[0] + spacing[0] * x + 100 * (y + z))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    coarse = at_least_spaced(image, 3.0, is_labels=False)
    assert coarse.GetSize() == (6, 20, 24)
    assert coarse.GetSpacing() == pytest.approx((3, 3, 5))
    for index in ((2, 8, 11), (3, 10, 12)):
        point = coarse.TransformIndexToPhysicalPoint(index)
        row, plane = (point[1] - origin[1]) / spacing[1], (point[2] - origin[2]) / spacing[2]
        assert coarse.GetPixel(*index) == pytest.approx(point[0] + 100 * (row + plane), abs=0.2)
    # the outer faces stay
    assert coarse.GetOrigin()[0] - 1.5 == pytest.approx(origin[0] - 0.5)


def test_an_axis_that_is_coarse_already_stays_as_it_is() -> None:
    labels = SimpleITK.GetImageFromArray(np.zeros((4, 4, 4), np.uint8))
    labels.SetSpacing((3.0, 2.95, 8.0))
    assert at_least_spaced(labels, 3.0, is_labels=True) is labels
