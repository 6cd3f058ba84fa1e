"""Headers alone tell what has to be done."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from centre_folders import CT_GRID, PET_GRID, a_ct, write_case

from nnunetv2_muduo.autopet.headers import UnreadableError, compare_headers
from nnunetv2_muduo.autopet.reading import read_once
from nnunetv2_muduo.errors import UserError


def files(folder):
    return {"CT": folder / "CTres.nii.gz", "PET": folder / "SUV.nii.gz"}


def test_one_grid_calls_for_no_change(tmp_path):
    compared = compare_headers(files(write_case(tmp_path)))
    assert (compared.are_plain, compared.differences) == (True, {})


def test_another_grid_is_told(tmp_path):
    compared = compare_headers(files(write_case(tmp_path, CTres=a_ct(CT_GRID))))
    assert not compared.are_plain
    assert compared.differences["CT"].startswith("size (28, 24, 17) against (14, 12, 10); spacing (2, 2, 3) against")


def test_rounding_is_no_difference_but_is_put_right(tmp_path):
    off = sitk.Image(a_ct(PET_GRID))
    off.SetOrigin([value + 0.05 for value in PET_GRID.origin])
    compared = compare_headers(files(write_case(tmp_path, CTres=off)))
    assert (compared.are_plain, compared.differences) == (False, {})


def test_a_fourth_axis_of_length_one_does_no_harm(tmp_path):
    found = files(write_case(tmp_path))
    image = nibabel.load(found["PET"])
    nibabel.save(nibabel.Nifti1Image(image.get_fdata()[..., None], image.affine), found["PET"])
    assert nibabel.load(found["PET"]).ndim == 4
    assert compare_headers(found).are_plain
    assert read_once(found["PET"], modality="PET", every_voxel=True).warnings == ()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "is missing; copy it again"),
        (lambda path: path.write_bytes(path.read_bytes()[:-60]), "is truncated; copy it again"),
        (lambda path: path.write_text("nothing"), "cannot be read as an image"),
        (lambda path: sitk.WriteImage(sitk.Image((4, 5), sitk.sitkUInt8), str(path)), "no 3d image .* but 4 x 5"),
    ],
)
def test_unusable_files_are_told(tmp_path, spoil, words):
    found = files(write_case(tmp_path))
    spoil(found["CT"])
    with pytest.raises(UserError, match=words):
        compare_headers(found)


def test_a_skewed_header_is_nothing_that_another_copy_would_repair(tmp_path):
    found = files(write_case(tmp_path))
    image = nibabel.load(found["CT"])
    affine = np.array(image.affine)
    affine[0, 2] = 0.3
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), found["CT"])
    with pytest.raises(UserError, match=r"CTres\.nii\.gz cannot be read .* skewed, .*; resample it") as told:
        compare_headers(found)
    assert not isinstance(told.value, UnreadableError)
    assert "copy" not in str(told.value)
