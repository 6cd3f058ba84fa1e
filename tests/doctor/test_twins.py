"""The doctor recognises unlabelled scans among the labelled and the test ones."""

import json
import shutil
from pathlib import Path

import pytest
from doctor_dataset import DATASET_JSON, Tiny
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark
from nnunetv2_muduo.doctor.twins import check_twins


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """Two unlabelled scans that differ in size."""
    made = Tiny(tmp_path)
    for channel in (0, 1):
        made.write("b", channel, shape=(5, 6, 7))
    return made


def put(tiny: Tiny, case: str, folder: str, name: str) -> None:
    """A copy of an unlabelled scan under another name."""
    (tiny.raw / folder).mkdir(exist_ok=True)
    for channel in (0, 1):
        source = tiny.raw / "imagesUn" / f"{case}_000{channel}.nii.gz"
        shutil.copy(source, tiny.raw / folder / f"{name}_000{channel}.nii.gz")


@pytest.mark.parametrize(("folder", "name"), [("imagesTr", "patient 1"), ("imagesTs", "patient 1"), ("imagesTs", "a")])
def test_a_copy_is_told_whatever_it_is_called(tiny: Tiny, folder: str, name: str):
    put(tiny, "a", folder, name)
    (check,) = check_twins(tiny.raw, tiny.preprocessed, DATASET_JSON)
    assert mark_of(check) is Mark.WARN
    assert f"a ({folder}/{name}_0000.nii.gz)" in check.found
    assert "b (" not in check.found


def test_scans_of_one_size_that_differ_are_none(tiny: Tiny):
    put(tiny, "a", "imagesTs", "c")
    file = tiny.raw / "imagesTs" / "c_0000.nii.gz"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert check_twins(tiny.raw, tiny.preprocessed, DATASET_JSON) == []


def test_labelled_cases_that_the_folds_leave_out_may_serve_as_unlabelled(tiny: Tiny):
    put(tiny, "a", "imagesTr", "a")
    (tiny.preprocessed / "splits_final.json").write_text(json.dumps([{"train": ["c"], "val": ["d"]}]))
    assert check_twins(tiny.raw, tiny.preprocessed, DATASET_JSON) == []


def test_nothing_to_compare_with_is_no_check(tiny: Tiny):
    assert check_twins(tiny.raw, tiny.preprocessed, DATASET_JSON) == []


def test_a_copy_that_dataset_json_lists_is_told_wherever_it_lies(tiny: Tiny):
    put(tiny, "a", "elsewhere", "x")
    images = [f"elsewhere/x_000{channel}.nii.gz" for channel in (0, 1)]
    listed = DATASET_JSON | {"dataset": {"patient 1": {"images": images, "label": "elsewhere/x.nii.gz"}}}
    (check,) = check_twins(tiny.raw, tiny.preprocessed, listed)
    assert "a (elsewhere/x_0000.nii.gz)" in check.found
