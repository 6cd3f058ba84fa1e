"""The doctor finds labelled cases whose files nnU-Net would lay on each other where they do not lie so."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from doctor_dataset import DATASET_JSON
from doctor_marks import mark_of

from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.doctor.labelled import check_labelled_grids


def write(raw: Path, file: str, orientation: str = "LPS", *, moved_in_mm: float = 0.0) -> None:
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    image.SetOrigin((moved_in_mm, 0.0, 0.0))
    (raw / file).parent.mkdir(exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(raw / f"{file}.nii.gz"))


def check_grids(raw: Path, dataset_json: dict = DATASET_JSON, *, reader: str = "SimpleITKIO") -> list[Check]:
    return check_labelled_grids(raw, dataset_json, reader=reader)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for case in ("a", "b"):
        for file in (f"imagesTr/{case}_0000", f"imagesTr/{case}_0001", f"labelsTr/{case}"):
            write(tmp_path, file)
    return tmp_path


@pytest.mark.parametrize("file", ["imagesTr/b_0001", "labelsTr/b"])
def test_a_file_that_is_stored_mirrored_to_its_ct_is_told_of(raw: Path, file: str):
    write(raw, file, "RPS")
    (check,) = check_grids(raw)
    assert mark_of(check) is Mark.WARN
    told = f"b ({file}.nii.gz and b_0000.nii.gz differ in origin (4, 0, 0) against (0, 0, 0)"
    assert check.found.startswith(f"1 of 2 do not lie on one grid, or not for sure: {told}")
    assert "direction" in check.found


@pytest.mark.parametrize("orientation", ["RPS", "PSL"])
@pytest.mark.parametrize("reader", ["SimpleITKIOWithReorient", "NibabelIOWithReorient"])
def test_what_the_reader_turns_alike_is_one_grid_and_what_lies_elsewhere_is_not(raw: Path, orientation, reader):
    write(raw, "imagesTr/a_0001", orientation)
    write(raw, "labelsTr/a", orientation)
    assert "1 of 2 do not lie on one grid, or not for sure" in check_grids(raw)[0].found
    (check,) = check_grids(raw, reader=reader)
    assert (mark_of(check), check.found) == (Mark.OK, "2, each on one grid")
    write(raw, "labelsTr/b", orientation, moved_in_mm=2.0)
    (check,) = check_grids(raw, reader=reader)
    assert "labelsTr/b.nii.gz and b_0000.nii.gz differ in origin" in check.found


def test_one_grid_but_for_rounding_is_in_order_and_missing_labels_are_no_matter_here(raw: Path):
    write(raw, "imagesTr/a_0001", moved_in_mm=0.01)
    (raw / "labelsTr" / "b.nii.gz").unlink()
    (check,) = check_grids(raw)
    assert (mark_of(check), check.found) == (Mark.OK, "2, each on one grid")


def test_label_maps_that_may_hold_nan_are_counted_by_their_headers(raw: Path):
    sitk.WriteImage(
        sitk.Cast(sitk.ReadImage(raw / "labelsTr" / "b.nii.gz"), sitk.sitkFloat32), raw / "labelsTr" / "b.nii.gz"
    )
    (check,) = check_grids(raw)
    told = "label maps stored as fractions: 1, --cases tells which hold NaN or no whole numbers"
    assert (mark_of(check), check.found) == (Mark.OK, f"2, each on one grid; {told}")


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_said_where_there_is_nothing_to_read(raw: Path):
    (raw / "imagesTr" / "a_0001.nii.gz").write_bytes(b"no image")
    (check,) = check_grids(raw)
    assert "a (imagesTr/a_0001.nii.gz cannot be read)" in check.found
    assert check_grids(raw / "none") == []
    assert check_grids(raw, DATASET_JSON | {"file_ending": ".tif"}) == []


def test_a_header_that_says_two_things_and_a_file_that_was_cut_are_told_of_before_nnunet_takes_them(raw: Path):
    """nnU-Net takes the spacing of pixdim, whatever the affine says, and zeros for voxels that are not there."""
    for file in ("imagesTr/a_0000", "imagesTr/a_0001", "labelsTr/a"):  # all of a case alike
        uncompressed = gzip.decompress((raw / f"{file}.nii.gz").read_bytes())
        changed = bytearray(uncompressed)
        struct.pack_into("<f", changed, 76 + 3 * 4, 2.5)
        (raw / f"{file}.nii.gz").write_bytes(gzip.compress(bytes(changed)))
    (raw / "labelsTr" / "b.nii.gz").write_bytes(gzip.compress(uncompressed[:-1]))
    (check,) = check_grids(raw)
    assert mark_of(check) is Mark.WARN
    assert check.found.startswith("2 of 2 do not lie on one grid, or not for sure: a (imagesTr/a_0000.nii.gz cannot be")
    assert "sform, qform and pixdim say different things" in check.found
    assert "b (labelsTr/b.nii.gz is truncated)" in check.found


def test_files_that_dataset_json_lists_are_looked_at_wherever_they_lie(raw: Path):
    (raw / "imagesTr").rename(raw / "elsewhere")
    images = [f"elsewhere/a_000{channel}.nii.gz" for channel in (0, 1)]
    listed = DATASET_JSON | {"dataset": {"patient 1": {"images": images, "label": "labelsTr/a.nii.gz"}}}
    (check,) = check_grids(raw, listed)
    assert (mark_of(check), check.found) == (Mark.OK, "1, each on one grid")
    write(raw, "elsewhere/a_0001", "RPS")
    (check,) = check_grids(raw, listed)
    assert "1 of 1 do not lie on one grid, or not for sure: patient 1 (elsewhere/a_0001.nii.gz" in check.found
