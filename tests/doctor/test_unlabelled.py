"""Bad unlabelled scans are named and do not stop the good ones."""

import json
import shutil

from doctor_dataset import DATASET_JSON, PLANS, Tiny
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark
from nnunetv2_muduo.doctor.examination import Subject, examine_dataset
from nnunetv2_muduo.doctor.unlabelled import check_scans, count_fresh, judge_fresh


def test_good_scans_are_counted(tiny: Tiny):
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.OK
    assert check.found.startswith("2 in ")


def test_no_scans_fail_with_where_to_put_them(tiny: Tiny):
    for file in (tiny.raw / "imagesUn").iterdir():
        file.unlink()
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.FAIL
    assert "holds no scans" in check.found
    (tiny.raw / "imagesUn").rmdir()
    assert "does not exist" in check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO").found


def test_links_to_nothing_are_counted_among_the_bad_scans(tiny: Tiny):
    for case, mark in (("a", Mark.WARN), ("b", Mark.FAIL)):
        file = tiny.raw / "imagesUn" / f"{case}_0001.nii.gz"
        file.unlink()
        file.symlink_to("not mounted.nii.gz")
        check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
        assert mark_of(check) is mark
        assert "a (a_0001.nii.gz is a link to not mounted.nii.gz" in check.found
    assert "none of 2" in check.found


def test_bad_scans_are_named_with_their_reason_and_do_not_stop_the_good_ones(tiny: Tiny):
    tiny.write("lonely", 0)
    tiny.write("shifted", 0)
    tiny.write("shifted", 1, spacing=(1.0, 2.0, 3.5))
    tiny.write("smaller", 0)
    tiny.write("smaller", 1, shape=(4, 5, 5))
    for channel in (0, 1):
        (tiny.raw / "imagesUn" / f"text_000{channel}.nii.gz").write_text("not an image")
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.WARN
    assert "2 in order, 4 not" in check.found
    assert "lonely (1 channel(s) instead of 2)" in check.found
    assert "shifted (imagesUn/shifted_0001.nii.gz and shifted_0000.nii.gz differ in spacing" in check.found
    assert "smaller (imagesUn/smaller_0001.nii.gz and smaller_0000.nii.gz differ in size" in check.found
    assert "text (imagesUn/text_0000.nii.gz cannot be read)" in check.found


def test_channels_that_the_reader_turns_alike_lie_on_one_grid(tiny: Tiny):
    tiny.write("b", 1, orientation="RAS")
    reader = "SimpleITKIOWithReorient"
    assert mark_of(check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")) is Mark.WARN
    assert mark_of(check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader=reader)) is Mark.OK
    for number, examined in ((1, DATASET_JSON), (2, DATASET_JSON | {"overwrite_image_reader_writer": reader})):
        checks = examine_dataset(Subject(tiny.raw, tiny.preprocessed, examined, "3d_fullres", "PlansThatAreNotThere"))
        (check,) = (check for check in checks if check.name == "unlabelled scans")
        assert check.found.startswith(f"{number} in ")


def test_labelled_cases_among_the_unlabelled_scans_are_named_and_not_waited_for(tiny: Tiny):
    (tiny.raw / "imagesTr").mkdir()
    for channel in (0, 1):
        file = f"a_000{channel}.nii.gz"
        shutil.copy(tiny.raw / "imagesUn" / file, tiny.raw / "imagesTr" / file)
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.WARN
    assert "1 in order, 1 not: a (already labelled" in check.found
    context = {"plans": PLANS, "configuration": "3d_fullres", "dataset_json": DATASET_JSON}
    assert count_fresh(tiny.raw, tiny.preprocessed, **context) == (0, 1)
    (tiny.preprocessed / "splits_final.json").write_text(json.dumps([{"train": ["c"], "val": ["d"]}]))
    assert mark_of(check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")) is Mark.OK
    (tiny.preprocessed / "splits_final.json").write_text("{}")
    assert (
        "splits_final.json must look like"
        in check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO").found
    )


def test_nothing_but_bad_scans_fails_and_long_lists_are_cut(tiny: Tiny):
    for channel in (0, 1):
        for case in ("a", "b"):
            (tiny.raw / "imagesUn" / f"{case}_000{channel}.nii.gz").unlink()
    for number in range(7):
        tiny.write(f"case{number}", 0)
    check = check_scans(tiny.raw, tiny.preprocessed, DATASET_JSON, reader="SimpleITKIO")
    assert mark_of(check) is Mark.FAIL
    assert "none of 7 can be used" in check.found
    assert check.found.endswith("and 2 more")


def test_stale_scans_come_with_the_command_that_does_them():
    of = {"dataset": "Dataset021_Tiny", "configuration": "3d_fullres", "plans_identifier": "nnUNetPlans"}
    check = judge_fresh(1, 2, **of)
    assert mark_of(check) is Mark.WARN
    assert check.remedy.startswith("muduo preprocess-unlabelled -d 21 -c 3d_fullres (")
    assert mark_of(judge_fresh(2, 2, **of)) is Mark.OK
