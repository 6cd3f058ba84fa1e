"""Which way the axes of a stored scan grow, whichever of nnU-Net's readers read it."""

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunetv2_muduo.datasets.orientation import axial_axis, orientation_of, transposed
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.teachers.orientation import mirrored_axes

ORIENTATIONS = ["".join(letters) for axes in permutations(("LR", "PA", "SI")) for letters in product(*axes)]


def stored(orientation: str) -> sitk.Image:
    """An image of 3 x 4 x 5 different voxels, stored so."""
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.float32).reshape(5, 4, 3))
    return sitk.DICOMOrient(image, orientation)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_readers_of_nnunet_tell_how_a_file_is_stored(tmp_path: Path, orientation: str):
    sitk.WriteImage(stored(orientation), file := str(tmp_path / "scan.nii.gz"))
    for reader in (SimpleITKIO(), NibabelIO()):
        assert orientation_of(reader.read_images((file,))[1]) == orientation
    assert orientation_of(NibabelIOWithReorient().read_images((file,))[1]) == "RAS"


def test_a_scan_that_lies_askew_has_the_nearest_orientation_and_a_format_without_directions_none():
    turned = np.array([[-0.98, 0.199, 0.0], [0.199, 0.98, 0.0], [0.0, 0.0, 1.0]])
    assert orientation_of({"sitk_stuff": {"direction": tuple(turned.ravel())}}) == "RPS"
    for properties in ({}, {"sitk_stuff": {"spacing": (1, 1, 1)}}, {"sitk_stuff": {"direction": (1.0, 0.0, 0.0, 1.0)}}):
        assert orientation_of(properties) is None


@pytest.mark.parametrize("wanted", ["LPS", "RAS"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_mirrored_axes_are_those_that_a_turn_flips(orientation: str, wanted: str):
    image = stored(orientation)
    turn, axes = Turn.of(image.GetDirection(), wanted), mirrored_axes(orientation, wanted)
    if axes is None:
        assert turn.order != (0, 1, 2)
    else:
        array = sitk.GetArrayFromImage(image)
        np.testing.assert_array_equal(np.flip(array, axes), turn.there(array))


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_transposed_array_has_the_orientation_that_simpleitk_gives_its_image(orientation: str, axes: tuple[int, ...]):
    order = [2 - axes[2 - place] for place in range(3)]  # SimpleITK counts from the other end
    image = sitk.PermuteAxes(stored(orientation), order)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(stored(orientation)).transpose(axes)
    )
    found = transposed(orientation, axes)
    assert found == orientation_of({"sitk_stuff": {"direction": image.GetDirection()}})
    assert found[2 - axial_axis(orientation, axes)] in "SI"


def test_a_scan_of_unknown_orientation_is_taken_for_axial_slices():
    assert [axial_axis(None), axial_axis(None, (2, 0, 1)), axial_axis("PSL")] == [0, 1, 1]
