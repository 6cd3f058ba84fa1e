"""Headers tell of a file's grid before any voxel is read."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from mutated_nifti import valid_nifti
from nnunetv2.imageio.nibabel_reader_writer import NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient

from nnunetv2_muduo.datasets.orientation import orientation_of
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.scan_header import chosen_reader, header_grid, header_problem, tells_orientation
from nnunetv2_muduo.datasets.scan_io import FORMATS


def written(file: Path, orientation: str) -> Path:
    image = sitk.GetImageFromArray(np.zeros((2, 3, 4), np.float32))
    image.SetSpacing((1.0, 2.0, 3.5))
    image.SetOrigin((-7.0, 8.0, 9.0))
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(file))
    return file


@pytest.mark.parametrize("ending", FORMATS)
def test_the_header_tells_what_the_image_tells(tmp_path: Path, ending: str):
    file = written(tmp_path / f"scan{ending}", "PSR")
    assert header_grid(file) == ScanGrid.of(sitk.ReadImage(str(file)))


@pytest.mark.parametrize("ending", FORMATS)
def test_formats_of_scans_tell_how_the_patient_lies(tmp_path: Path, ending: str):
    assert tells_orientation(written(tmp_path / f"scan{ending}", "PSR"))


@pytest.mark.parametrize(("codes", "tells"), [((0, 0), False), ((1, 0), True), ((0, 1), True)])
def test_nifti_without_sform_and_qform_does_not_tell_how_the_patient_lies_and_tiff_cannot(tmp_path, codes, tells: bool):
    (tmp_path / "scan.nii").write_bytes(valid_nifti(codes=codes))
    assert tells_orientation(tmp_path / "scan.nii") is tells
    assert not tells_orientation(written(tmp_path / "scan.tif", "LPS"))


@pytest.mark.parametrize("reader", [SimpleITKIOWithReorient, NibabelIOWithReorient])
@pytest.mark.parametrize("orientation", ["LPS", "RAI", "PSR"])
def test_of_readers_that_turn_scans_the_grid_is_that_of_what_they_deliver(tmp_path: Path, reader, orientation: str):
    file = written(tmp_path / "scan.nii.gz", orientation)
    array, properties = reader().read_images([str(file)])
    grid = header_grid(file, reader=reader.__name__)
    assert grid is not None
    assert (grid.size, orientation_of({"sitk_stuff": {"direction": grid.direction}})) == (array.shape[:0:-1], "RAS")
    np.testing.assert_allclose(grid.spacing[::-1], properties["spacing"])
    turned = sitk.DICOMOrient(sitk.ReadImage(str(file)), "RAS")
    assert grid.is_exactly(ScanGrid.of(turned))


def test_plans_say_which_reader_it_is_and_before_them_dataset_json():
    chosen = {"overwrite_image_reader_writer": "SimpleITKIOWithReorient"}
    assert (chosen_reader({}), chosen_reader(chosen)) == ("", "SimpleITKIOWithReorient")
    assert chosen_reader(chosen, {"image_reader_writer": "SimpleITKIO"}) == "SimpleITKIO"


def test_of_what_is_no_image_nothing_is_told(tmp_path: Path):
    (tmp_path / "text.nii.gz").write_text("no image")
    assert header_grid(tmp_path / "text.nii.gz") is header_grid(tmp_path / "none.nii.gz") is None


def test_of_axes_that_are_none_nothing_is_told_where_they_are_to_be_turned(tmp_path: Path):
    file = written(tmp_path / "scan.mha", "LPS")
    axes = b"TransformMatrix = 1 0 0 0 1 0 0 0 1"
    assert axes in file.read_bytes()
    file.write_bytes(file.read_bytes().replace(axes, b"TransformMatrix = 1 0 0 1 0 0 0 0 1"))
    assert header_grid(file, reader="SimpleITKIOWithReorient") is None


def test_what_a_header_says_of_its_place_is_told_where_it_cannot_be_and_nothing_of_formats_that_say_none(
    tmp_path: Path,
):
    file = written(tmp_path / "scan.mha", "LPS")
    assert header_problem(file) is None
    file.write_bytes(file.read_bytes().replace(b"ElementSpacing = 1 2 3.5", b"ElementSpacing = 1 2 3e9"))
    assert header_problem(file) == "its voxels measure 1 x 2 x 3e+09 mm"
    tiff = tmp_path / "scan.tif"
    image = sitk.Image(4, 3, 2, sitk.sitkFloat32)
    image.SetSpacing((1e6, 1e6, 1e6))
    sitk.WriteImage(image, str(tiff))
    assert header_problem(tiff) is None
