"""Records of cases: what is read back, and what is taken for damage."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from harmonised_records import RECORD, write_harmonised_record

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.record import CaseRecord, is_body_cropped, read_record, read_records, record_file


def changed(*path: str, value: object) -> dict:
    """The record as JSON has it, with another value at a place."""
    table = json.loads(json.dumps(RECORD.to_dict()))
    holder = table
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return table


DAMAGED = [
    changed("patient", value=None),
    changed("files", value=[3]),
    changed("notes", value=[{}]),
    changed("box", value=[1]),
    changed("box", "start", value=[0, 0]),
    changed("box", "start", value=[-1, 0, 0]),
    changed("box", "size", value=[9, 1, 1]),
    changed("own_grid", "size", value=["../../outside", 7, 6]),
    changed("full_grid", "spacing", value=[0, 1, 1]),
]


def test_a_record_is_read_as_it_was_written(tmp_path: Path):
    (tmp_path / "harmonised.json").write_text(json.dumps({"cases": {"a": RECORD.to_dict()}}))
    assert read_records(tmp_path / "harmonised.json") == {
        "a": CaseRecord.from_dict(deepcopy(changed("patient", value="p")))
    }


@pytest.mark.parametrize("table", [*DAMAGED, changed("made_from", value={}), changed("made_from", "sources", value=[])])
def test_a_damaged_record_of_a_case_counts_for_nothing(tmp_path: Path, table: dict):
    record_file(tmp_path, "a").parent.mkdir()
    record_file(tmp_path, "a").write_text(json.dumps(RECORD.to_dict()))
    assert read_record(tmp_path, "a") is not None
    record_file(tmp_path, "a").write_text(json.dumps(table))
    assert read_record(tmp_path, "a") is None


@pytest.mark.parametrize("table", DAMAGED)
def test_a_damaged_record_of_a_dataset_is_refused(tmp_path: Path, table: dict):
    (tmp_path / "harmonised.json").write_text(json.dumps({"cases": {"a": table}}))
    with pytest.raises(UserError, match="give that file"):
        read_records(tmp_path / "harmonised.json")


@pytest.mark.parametrize("content", ["[]", "{}", '{"cases": []}', "["])
def test_another_file_is_no_record(tmp_path: Path, content: str):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=r"x\.json"):
        read_records(tmp_path / "x.json")


@pytest.mark.parametrize(
    ("cropped", "expected"), [((), None), ((True, True), True), ((True, False), False), ((False,), False)]
)
def test_a_dataset_is_cropped_to_the_body_where_every_scan_is(tmp_path: Path, cropped, expected):
    write_harmonised_record(tmp_path, *cropped)
    assert is_body_cropped(tmp_path) is expected


def test_without_a_record_that_can_be_read_nobody_knows_of_a_crop(tmp_path: Path):
    assert is_body_cropped(tmp_path) is None
    (tmp_path / "harmonised.json").write_text('{"cases": {"a": 3}}')
    assert is_body_cropped(tmp_path) is None


def test_of_scans_that_were_put_beside_cropped_ones_nobody_knows(tmp_path: Path):
    write_harmonised_record(tmp_path, True)
    for folder, name in (("imagesTr", "a_0000.nii.gz"), ("imagesUn", "a_0000.nii.gz"), ("imagesUn", ".x_0000.nii.gz")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch()  # a case's own image, and a link to it, as muduo split makes
    assert is_body_cropped(tmp_path) is True
    (tmp_path / "imagesUn" / "b_0000.nii.gz").touch()
    assert is_body_cropped(tmp_path) is None
    write_harmonised_record(tmp_path, True, False)
    assert is_body_cropped(tmp_path) is False
