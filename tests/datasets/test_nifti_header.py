"""NIfTI headers of which programs make different scans are refused."""

import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from mutated_nifti import AFFINE, FORMS, valid_nifti

from nnunetv2_muduo.datasets.scan_io import read_image
from nnunetv2_muduo.errors import UserError

TURNED = np.array([[0.0, -2, 0, 10], [0, 0, 4, -20], [3, 0, 0, -30], [0, 0, 0, 1]])


def written(folder: Path, content: bytes, *changes: tuple[int, str, object]) -> Path:
    """A file with some fields (place, kind, value) changed."""
    changed = bytearray(content)
    for place, kind, value in changes:
        struct.pack_into(f"<{kind}", changed, place, value)
    (folder / "a.nii").write_bytes(changed)
    return folder / "a.nii"


def with_forms(folder: Path, qform: np.ndarray, sform: np.ndarray, *, codes: tuple[int, int]) -> Path:
    image = nibabel.Nifti1Image(np.zeros((6, 5, 4), np.int16), sform)
    image.set_sform(sform, codes[1])
    image.set_qform(qform, codes[0])
    nibabel.save(image, folder / "a.nii.gz")
    return folder / "a.nii.gz"


@pytest.mark.parametrize("codes", FORMS)
def test_headers_that_say_one_thing_are_read(tmp_path: Path, codes):
    image = read_image(written(tmp_path, valid_nifti(codes=codes)))
    assert image.GetSpacing() == (2.0, 3.0, 4.0)


def test_what_simpleitk_writes_is_read_however_it_is_turned(tmp_path: Path):
    image = sitk.Image(30, 20, 10, sitk.sitkFloat32)
    image.SetSpacing((0.7, 0.9, 3.3))
    image.SetOrigin((-512.3, 411.7, -1903.1))
    for angle in np.linspace(0, 3, 13):
        image.SetDirection(sitk.Euler3DTransform((0, 0, 0), angle, angle / 2, -angle / 3).GetMatrix())
        sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
        read_image(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("codes", [(1, 1), (2, 2)])
def test_forms_of_one_space_that_differ_are_refused(tmp_path: Path, codes):
    moved = AFFINE + np.array([[0, 0, 0, 5], [0] * 4, [0] * 4, [0] * 4])
    with pytest.raises(UserError, match=r"a\.nii\.gz cannot be trusted: .* different things .*correct its header"):
        read_image(with_forms(tmp_path, AFFINE, moved, codes=codes))


def test_forms_of_two_spaces_may_differ_in_place_but_not_in_the_size_of_voxels_or_how_the_patient_lies(tmp_path: Path):
    moved = AFFINE + np.array([[0, 0, 0, 5], [0] * 4, [0] * 4, [0] * 4])
    read_image(with_forms(tmp_path, AFFINE, moved, codes=(1, 2)))
    for other in (TURNED, AFFINE @ np.diag([-1, 1, 1, 1])):
        with pytest.raises(UserError, match="different things"):
            read_image(with_forms(tmp_path, AFFINE, other, codes=(1, 2)))


@pytest.mark.parametrize("codes", [(0, 2), (1, 2)])
def test_an_sform_whose_voxels_have_another_size_than_pixdim_is_refused(tmp_path: Path, codes):
    file = written(tmp_path, valid_nifti(codes=codes), (76 + 4, "f", 2.5))
    with pytest.raises(UserError, match="sform, qform and pixdim say different things"):
        read_image(file)


@pytest.mark.parametrize("size", [0.0, -2.0, float("nan")])
def test_sizes_of_voxels_that_itk_replaces_are_refused(tmp_path: Path, size):
    with pytest.raises(UserError, match="its voxels measure"):
        read_image(written(tmp_path, valid_nifti(codes=(1, 0)), (76 + 4, "f", size)))


def test_voxels_that_begin_in_the_header_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="begin at byte 0, within its header"):
        read_image(written(tmp_path, valid_nifti(), (108, "f", 0.0)))


def test_an_offset_without_a_factor_is_refused_and_both_or_none_are_not(tmp_path: Path):
    with pytest.raises(UserError, match="scales its values by 0 and adds -1024"):
        read_image(written(tmp_path, valid_nifti(), (112, "f", 0.0), (116, "f", -1024.0)))
    scaled = read_image(written(tmp_path, valid_nifti(), (112, "f", 2.0), (116, "f", -1024.0)))
    assert sitk.GetArrayFromImage(scaled).max() == 119 * 2 - 1024
    read_image(written(tmp_path, valid_nifti(), (112, "f", float("nan")), (116, "f", float("nan"))))


def test_units_of_length_are_told_apart(tmp_path: Path):
    assert read_image(written(tmp_path, valid_nifti(), (123, "b", 3))).GetSpacing() == pytest.approx((2e-3, 3e-3, 4e-3))


def test_complex_voxels_are_refused(tmp_path: Path):
    nibabel.save(nibabel.Nifti1Image(np.ones((6, 5, 4), np.complex64), AFFINE), tmp_path / "a.nii.gz")
    with pytest.raises(UserError, match="no 3d image of one channel but 6 x 5 x 4 with complex numbers"):
        read_image(tmp_path / "a.nii.gz")
