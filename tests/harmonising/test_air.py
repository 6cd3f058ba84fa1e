"""What scanners fill in where they saw nothing."""

import numpy as np
import pytest
import SimpleITK as sitk
from centre_folders import a_ct

from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.harmonising.air import told_of_filling, with_air_for_filling


def a_filled_ct(filling: float, kind: int = sitk.sitkInt16) -> sitk.Image:
    ct = sitk.Cast(a_ct(), kind)
    ct[:4] = filling
    return ct


@pytest.mark.parametrize("kind", [sitk.sitkInt16, sitk.sitkInt32, sitk.sitkFloat32, sitk.sitkFloat64])
@pytest.mark.parametrize("filling", [-2000, -3024])
def test_filling_far_below_air_becomes_air_and_nothing_else_changes(filling, kind):
    ct = a_filled_ct(filling, kind)
    before = sitk.GetArrayFromImage(ct)
    made, note = with_air_for_filling(ct)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made), np.maximum(before, -1024))
    assert (made.GetPixelID(), ScanGrid.of(made)) == (kind, ScanGrid.of(ct))
    assert note == (
        f"14.3% of the CT lie far below air, down to {filling} HU, as what a scanner did not see: raised to -1024 HU."
    )
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ct), before)


@pytest.mark.parametrize("filling", [-1000, -1024, -1090])
def test_a_ct_whose_lowest_value_is_air_or_its_noise_is_handed_back_as_it_is(filling):
    ct = a_filled_ct(filling)
    assert with_air_for_filling(ct) == (ct, None)
    assert told_of_filling(filling) == ""


def test_numbers_without_a_sign_are_left_alone():
    ct = sitk.Cast(a_ct() + 1000, sitk.sitkUInt16)
    assert with_air_for_filling(ct) == (ct, None)
