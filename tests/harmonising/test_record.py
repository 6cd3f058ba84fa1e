"""Records of cases: what is read back, and what is taken for damage."""

import json
from copy import deepcopy
from pathlib import Path

import pytest

from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.images import Box
from nnunetv2_muduo.harmonising.record import CaseRecord, read_record, read_records, record_file

GRID = ScanGrid((8, 7, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
SOURCES = {"folder": "/x", "options": {"copy": False}, "sources": {"CT": ["a", [1, 2]], "PET": ["b", [3, 4]]}}
RECORD = CaseRecord("p", SOURCES, ("imagesTr/a_0000.nii.gz",), GRID, GRID, Box((1, 1, 1), (4, 4, 4)), None, ("note",))


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
