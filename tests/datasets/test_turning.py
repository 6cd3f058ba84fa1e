"""Scans turned to a teacher's axes and back."""

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.turning import Turn

ALL_ORIENTATIONS = ["".join(word) for axes in permutations(("RL", "AP", "SI")) for word in product(*axes)]


def scan(orientation: str, *, askew: bool = False) -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    image.SetSpacing((1.0, 2.0, 3.0))
    if askew:
        image.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.2, -0.3, 0.25).GetMatrix())
    return sitk.DICOMOrient(image, orientation)


@pytest.mark.parametrize("orientation", ALL_ORIENTATIONS)
@pytest.mark.parametrize("askew", [False, True])
def test_turn_agrees_with_simpleitk_and_back_restores_every_voxel(orientation: str, askew: bool):
    image = scan(orientation, askew=askew)
    array = sitk.GetArrayFromImage(image)
    turn = Turn.of(image.GetDirection(), "RAS")
    wanted = sitk.DICOMOrient(image, "RAS")
    turned = turn.there(array)
    np.testing.assert_array_equal(turned, sitk.GetArrayFromImage(wanted))
    assert turn.spacing(image.GetSpacing()[::-1]) == wanted.GetSpacing()[::-1]
    np.testing.assert_array_equal(turn.back(turned), array)


@pytest.mark.parametrize("orientation", ALL_ORIENTATIONS)
def test_part_of_a_turned_scan_comes_back_to_its_place(orientation: str):
    image = scan(orientation)
    array = sitk.GetArrayFromImage(image)
    turn = Turn.of(image.GetDirection(), "SPL")
    turned = turn.there(array)
    part = tuple(slice(1, length) for length in turned.shape)
    place = turn.part_back(part, array.shape)
    np.testing.assert_array_equal(turn.back(turned[part]), array[place])


@pytest.mark.parametrize("orientation", ALL_ORIENTATIONS)
@pytest.mark.parametrize("askew", [False, True])
def test_index_of_simpleitk_is_followed_through_the_turn(orientation: str, askew: bool):
    image = scan(orientation, askew=askew)
    array = sitk.GetArrayFromImage(image)
    turn = Turn.of(image.GetDirection(), "RAS")
    wanted = sitk.DICOMOrient(image, "RAS")
    index = tuple(length - 1.25 for length in image.GetSize())  # off the middle of every axis, between two voxels
    place = image.TransformContinuousIndexToPhysicalPoint(index)
    there = wanted.TransformPhysicalPointToContinuousIndex(place)
    np.testing.assert_allclose(turn.position(index, array.shape), there[::-1], atol=1e-6)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("orientation", ALL_ORIENTATIONS)
def test_patches_are_turned_as_their_scan_whatever_the_order_of_their_axes(orientation: str, axes: tuple[int, ...]):
    array, spacing = sitk.GetArrayFromImage(scan(orientation)), scan(orientation).GetSpacing()[::-1]
    of_scan, of_patch = (Turn.of_patch(orientation, "LPS", axes=order) for order in ((0, 1, 2), axes))
    wanted = sitk.DICOMOrient(scan(orientation), "LPS")
    np.testing.assert_array_equal(of_scan.there(array), sitk.GetArrayFromImage(wanted))
    np.testing.assert_array_equal(of_patch.there(array.transpose(axes)), sitk.GetArrayFromImage(wanted))
    assert of_patch.spacing([spacing[axis] for axis in axes]) == wanted.GetSpacing()[::-1]


def test_patches_of_a_scan_of_unknown_orientation_are_left_as_they_are():
    array = sitk.GetArrayFromImage(scan("LPS"))
    np.testing.assert_array_equal(Turn.of_patch(None, "RAS").there(array), array)
