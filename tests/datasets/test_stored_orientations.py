"""Scans of one dataset that are stored in several ways are found, and told of where it matters."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_muduo.datasets.stored_orientations import lie_differently, stored_orientations, told_orientations


def write(file: Path, orientation: str) -> None:
    file.parent.mkdir(exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(sitk.GetImageFromArray(np.zeros((2, 3, 4), np.float32)), orientation), str(file))


def test_headers_of_all_scans_tell_and_what_cannot_be_read_is_left_out(tmp_path: Path):
    write(tmp_path / "imagesTr" / "a_0000.nii.gz", "LPS")
    write(tmp_path / "imagesTr" / "a_0001.nii.gz", "RAS")
    write(tmp_path / "imagesUn" / "b c_0000.nii.gz", "PSL")
    write(tmp_path / "imagesTs" / "d_0000.nii.gz", "LAS")
    (tmp_path / "imagesTs" / "e_0000.nii.gz").write_bytes(b"no image")
    stored = stored_orientations(tmp_path, ".nii.gz")
    assert stored == {
        "imagesTr/a_0000.nii.gz": "LPS", "imagesUn/b c_0000.nii.gz": "PSL", "imagesTs/d_0000.nii.gz": "LAS",
    }  # fmt: skip
    assert stored_orientations(tmp_path, ".tif") == stored_orientations(tmp_path / "none", ".nii.gz") == {}


@pytest.mark.parametrize(
    ("orientations", "unmirrored", "mirrored"),
    [
        ([], False, False),
        (["LPS", "LPS", None], False, False),
        (["LPS", "RAS", "LPI"], True, False),
        (["LPS", "PSL"], True, True),
    ],
)
def test_mirror_images_differ_unless_patches_are_mirrored(orientations: list, unmirrored: bool, mirrored: bool):
    assert lie_differently(orientations, mirrored=False) is unmirrored
    assert lie_differently(orientations, mirrored=True) is mirrored


def test_the_most_usual_way_is_told_first_and_an_example_of_each_other():
    stored = {"a": "RAS", "b": "LPS", "c": None, "d": "LPS", "e": "RAS", "f": "LPS"}
    assert told_orientations(stored) == "3 as LPS; 2 as RAS, such as a"
