"""Rows on disk survive whatever interrupts their writing."""

from pathlib import Path

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.click_summary import ClickRow
from nnunetv2_muduo.interactive.click_record import ClickRecord

CLICKS = (1, 3)
SETTINGS = {"dataset": "Dataset031_Boxes", "seed": 0, "clicks": CLICKS}


def rows(case: str, organ: str = "left, liver") -> list[ClickRow]:
    return [ClickRow(case, organ, 40, clicks, 0.5 + clicks / 8, 2, 0.25 * clicks) for clicks in CLICKS]


def record(folder: Path, **changes) -> ClickRecord:
    return ClickRecord(folder, settings=SETTINGS | changes, clicks=CLICKS, stamps={"a": 1})


def test_rows_are_found_again_by_the_next_run(tmp_path: Path):
    record(tmp_path).append(rows("a"))
    again = record(tmp_path)
    again.append(rows("b"))
    assert record(tmp_path).rows == rows("a") + rows("b")
    assert again.finished == {("a", "left, liver"), ("b", "left, liver")}


@pytest.mark.parametrize("lost", range(1, 40))
def test_what_was_not_written_to_its_end_is_measured_again(tmp_path: Path, lost: int):
    record(tmp_path).append(rows("a"))
    record(tmp_path).append(rows("b"))
    path = tmp_path / "clicks.csv"
    path.write_bytes(path.read_bytes()[:-lost])
    again = record(tmp_path)
    assert again.finished == {("a", "left, liver")}
    again.append(rows("b"))
    assert record(tmp_path).rows == rows("a") + rows("b")


def test_other_settings_are_refused_and_named(tmp_path: Path):
    record(tmp_path)
    with pytest.raises(UserError, match=r"other settings \(seed 0 instead of 1\); choose another folder"):
        record(tmp_path, seed=1)


def test_rows_of_a_case_that_changed_are_forgotten_and_no_others(tmp_path: Path):
    def stamped(**stamps: int) -> ClickRecord:
        return ClickRecord(tmp_path, settings=SETTINGS, clicks=CLICKS, stamps=stamps)

    stamped(a=1, b=1).append([*rows("a"), *rows("b")])
    assert stamped(b=1).changed == []  # of "a" nothing is known
    again = stamped(a=2, b=1)
    assert (again.rows, again.changed) == (rows("b"), ["a"])
    again.append(rows("a"))
    assert stamped(a=2, b=1).finished == {("a", "left, liver"), ("b", "left, liver")}
    (tmp_path / "cases.json").unlink()  # of an earlier version
    assert stamped(a=2).changed == ["a"]


def test_files_of_others_are_left_alone(tmp_path: Path):
    path = tmp_path / "clicks.csv"
    path.write_text("time,button\n1,left\n")
    with pytest.raises(UserError, match=r"no clicks\.json"):
        record(tmp_path)
    path.unlink()
    record(tmp_path)
    path.write_text("time,button\n1,left\n")
    with pytest.raises(UserError, match="no record of clicks"):
        record(tmp_path)
    assert path.read_text() == "time,button\n1,left\n"


@pytest.mark.parametrize("content", ["case,Ω".encode("utf-16"), b"\xff\xfe"])
def test_a_record_in_another_encoding_is_named(tmp_path: Path, content: bytes):
    record(tmp_path).append(rows("a"))
    (tmp_path / "clicks.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"clicks\.csv cannot be read"):
        record(tmp_path)
