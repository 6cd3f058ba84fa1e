"""DICOM slices of fewer voxels than they promise are refused; ITK reads the missing ones from anywhere."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_series import write_pet_series

from nnunetv2_muduo.datasets.scan_io import read_intensities
from nnunetv2_muduo.errors import UserError

pydicom = pytest.importorskip("pydicom")
IN_BYTES = 6 * 7 * 2  # of a slice


@pytest.fixture
def series(tmp_path: Path) -> Path:
    suv = np.random.default_rng(0).uniform(1, 5, (5, 6, 7)).astype(np.float32)
    return write_pet_series(tmp_path / "pet", sitk.GetImageFromArray(suv))


def change(series: Path, number: int, **tags) -> None:
    file = series / f"{number}.dcm"
    header = pydicom.dcmread(file)
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    header.save_as(file)


def voxels(series: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(read_intensities(series))


@pytest.mark.parametrize("number", [0, 2, 4])
@pytest.mark.parametrize("given", [2, IN_BYTES // 2, IN_BYTES - 2])
@pytest.mark.parametrize("syntax", [pydicom.uid.ExplicitVRLittleEndian, pydicom.uid.ImplicitVRLittleEndian])
def test_a_slice_of_too_few_voxels_is_refused_by_name(series: Path, number: int, given: int, syntax):
    file = series / f"{number}.dcm"
    header = pydicom.dcmread(file)
    header.PixelData = header.PixelData[:given]
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(file, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    with pytest.raises(UserError, match=rf"{number}\.dcm holds {given} bytes of voxels, and {IN_BYTES} were promised"):
        read_intensities(series)


@pytest.mark.parametrize("tags", [{"Rows": 7}, {"Columns": 60000}, {"BitsAllocated": 32}])
def test_slices_that_promise_more_than_they_hold_are_refused(series: Path, tags: dict):
    for number in range(5):
        change(series, number, **tags)
    with pytest.raises(UserError, match=r"bytes of voxels, and \d+ were promised"):
        read_intensities(series)


def test_padding_behind_the_voxels_and_icons_before_them_change_nothing(series: Path):
    before = voxels(series)
    icon = pydicom.Dataset()
    icon.Rows, icon.Columns, icon.PixelData = 2, 2, bytes(4)
    icon["PixelData"].VR = "OB"
    content = pydicom.dcmread(series / "1.dcm").PixelData
    change(series, 1, PixelData=content + bytes(2), IconImageSequence=[icon])
    np.testing.assert_array_equal(voxels(series), before)


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_slice_of_another_size_is_named(series: Path, number: int):
    change(series, number, Rows=30, Columns=20, PixelData=bytes(2 * 30 * 20))
    with pytest.raises(
        UserError, match=rf"^1 of the 5 .* {number}\.dcm with 20 x 30 voxels instead of \d+ x \d+, as local"
    ):
        read_intensities(series)


def test_compression_that_cannot_be_undone_is_named(series: Path):
    for file in series.iterdir():
        header = pydicom.dcmread(file)
        header.file_meta.TransferSyntaxUID = pydicom.uid.HTJ2KLossless
        header.PixelData = pydicom.encaps.encapsulate([bytes(64)])
        header.save_as(file)
    with pytest.raises(UserError, match=r"transfer syntax 1\.2\.840\.10008\.1\.2\.4\.201\); export .* uncompressed"):
        read_intensities(series)
