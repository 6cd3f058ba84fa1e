"""The doctor reads labelled cases and says which one is odd."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from doctor_dataset import DATASET_JSON
from doctor_marks import mark_of

from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.doctor.labelled_cases import check_labelled_cases

CASES = ("a", "b", "c", "d", "e")


def write(raw: Path, file: str, array: np.ndarray) -> None:
    (raw / file).parent.mkdir(exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(raw / f"{file}.nii.gz"))


def write_case(raw: Path, case: str) -> np.ndarray:
    generator = np.random.default_rng(CASES.index(case))
    labels = np.zeros((8, 8, 8), np.uint8)
    labels[2:6, 2:6, 2:4], labels[3:5, 3:5, 6], labels[0, 0, 0] = 1, 2, 3
    write(raw, f"imagesTr/{case}_0000", np.where(labels > 0, 50, -1000).astype(np.float32))
    write(raw, f"imagesTr/{case}_0001", generator.uniform(0, 5, labels.shape).astype(np.float32))
    write(raw, f"labelsTr/{case}", labels)
    return labels


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    for case in CASES:
        write_case(tmp_path, case)
    return tmp_path


def check(raw: Path, dataset_json: dict = DATASET_JSON) -> Check:
    (only,) = check_labelled_cases(raw, dataset_json, channels=(0, 1))
    return only


def test_cases_that_are_alike_are_in_order(raw: Path):
    assert (mark_of(check(raw)), check(raw).found) == (Mark.OK, "5 looked at, none is unlike the others")


def test_channels_in_the_wrong_order_are_told_of_the_one_case_that_has_them(raw: Path):
    ct, pet = (raw / "imagesTr" / f"b_000{channel}.nii.gz" for channel in (0, 1))
    content = ct.read_bytes()
    ct.write_bytes(pet.read_bytes())
    pet.write_bytes(content)
    assert mark_of(check(raw)) is Mark.WARN
    assert check(raw).found.startswith("1 of 5 look odd: b (This does not look like CT in HU")
    assert "PET in SUV: it goes down to -1000" in check(raw).found


def test_an_organ_that_was_forgotten_is_told_and_a_lesion_is_not(raw: Path):
    labels = write_case(raw, "c")
    write(raw, "labelsTr/c", np.where(labels == 2, 0, labels))
    assert check(raw).found == "1 of 5 look odd: c (shows no spleen)"
    lesions = {**DATASET_JSON, "labels": {"background": 0, "liver": 1, "lesion": 2}}
    assert mark_of(check(raw, lesions)) is Mark.OK


def test_a_case_that_cannot_be_read_is_told_beside_the_others(raw: Path):
    (raw / "labelsTr" / "d.nii.gz").unlink()
    (raw / "imagesTr" / "e_0001.nii.gz").unlink()
    found = check(raw).found
    assert found.startswith("2 of 5 look odd: d (There is no file or folder ")
    assert found.endswith("d.nii.gz); e (there is no file of channel 0001)")


def test_a_label_map_with_nan_is_told_which_nnunet_takes_for_background(raw: Path):
    labels = write_case(raw, "c").astype(np.float32)
    labels[0, 0, 0] = np.nan
    write(raw, "labelsTr/c", labels)
    assert check(raw).found.startswith("1 of 5 look odd: c (1 voxel(s) of the label map ")


def test_what_is_of_no_known_format_is_not_looked_at(raw: Path):
    assert check_labelled_cases(raw, {**DATASET_JSON, "file_ending": ".b2nd"}, channels=(0, 1)) == []
