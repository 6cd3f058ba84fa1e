"""The doctor tells of patients that lie differently in nnU-Net's eyes, where that matters."""

from doctor_dataset import DATASET_JSON, Tiny
from doctor_marks import mark_of

from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.doctor.orientations import check_orientations

SIDES = DATASET_JSON | {"labels": {"background": 0, "left kidney": 1, "right kidney": 2}}


def checked(tiny: Tiny, dataset_json: dict = DATASET_JSON, *, mirroring: bool = True, reader: str = "") -> Check:
    (check,) = check_orientations(tiny.raw, dataset_json, reader=reader or "SimpleITKIO", mirroring=mirroring)
    return check


def test_scans_that_are_stored_alike_are_in_order(tiny: Tiny):
    check = checked(tiny, SIDES, mirroring=False)
    assert (mark_of(check), check.found) == (Mark.OK, "2 as LPS")


def test_mirrored_scans_matter_to_labels_of_one_side_and_where_patches_are_not_mirrored(tiny: Tiny):
    tiny.write("b", 0, orientation="RAS")
    assert mark_of(checked(tiny)) is Mark.OK
    for check in (checked(tiny, SIDES), checked(tiny, mirroring=False)):
        assert mark_of(check) is Mark.WARN
        assert check.found.endswith("1 as LPS; 1 as RAS, such as imagesUn/b_0000.nii.gz")
        assert "SimpleITKIOWithReorient" in check.remedy


def test_axes_in_another_order_always_matter_and_never_where_the_reader_turns_them(tiny: Tiny):
    tiny.write("b", 0, orientation="PSL")
    assert mark_of(checked(tiny)) is Mark.WARN
    for reader in ("SimpleITKIOWithReorient", "NibabelIOWithReorient"):
        assert mark_of(checked(tiny, SIDES, mirroring=False, reader=reader)) is Mark.OK


def test_scans_that_are_all_stored_in_coronal_slices_are_told_of_too(tiny: Tiny):
    for case in ("a", "b"):
        tiny.write(case, 0, orientation="LSA")
    check = checked(tiny)
    assert (mark_of(check), check.found.endswith("count on: 2 as LSA")) == (Mark.WARN, True)
    assert mark_of(checked(tiny, reader="SimpleITKIOWithReorient")) is Mark.OK


def test_nothing_is_said_of_formats_that_nobody_reads_the_headers_of(tiny: Tiny):
    assert check_orientations(tiny.raw, DATASET_JSON | {"file_ending": ".tif"}, reader="Tiff3DIO", mirroring=True) == []
