"""Whatever cell of a table is something else, its reader tells so in a sentence with the file's name, or copes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mutated_tables import mutated_tables

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.suv_table import read_suv_table
from nnunetv2_muduo.interactive.click_record import ClickRecord

DOSES = (
    ("case", "injected_dose_mbq", "weight_kg", "injection_time", "acquisition_time", "half_life_s", "tracer"),
    ("a", "312", "71.5", "09:12:00", "10:15:30", "6586.2", "FDG"),
    ("b", "150", "80", "2026-01-31 09:12:00", "2026-01-31 10:15:30", "4062.6", "PSMA"),
)
CLICKS = (
    ("case", "organ", "voxels", "clicks", "dice", "windows", "seconds"),
    ("a", "liver", "100", "1", "0.75", "2", "0.5"),
    ("a", "liver", "100", "3", "0.85", "2", "0.7"),
)


def _doses(path: Path) -> None:
    table = read_suv_table(path)
    known = {"a": (312e6, 71.5, 3810.0, 6586.2), "b": (150e6, 80.0, 3810.0, 4062.6)}
    for case, told in table.items():
        if case in known:  # a value may be another number, but for one that is implausible none is made up
            values = (told.dose_in_bq, told.weight_in_kg, told.elapsed_in_s, told.half_life_in_s)
            others = [value for value, right in zip(values, known[case], strict=True) if value != pytest.approx(right)]
            assert others in ([], [6586.2]), f"{case}: {others}"  # what is not given is fluorine-18


def _clicks(path: Path) -> None:
    (path.parent / "clicks.json").write_text("{}")
    ClickRecord(path.parent, settings={}, clicks=[1, 3], stamps={})


@pytest.mark.parametrize(
    ("name", "rows", "read"), [("doses.csv", DOSES, _doses), ("clicks.csv", CLICKS, _clicks)], ids=["doses", "clicks"]
)
def test_every_cell_that_is_something_else_ends_in_a_sentence_or_in_none(
    tmp_path: Path, name: str, rows, read: Callable[[Path], None]
):
    path = tmp_path / name
    path.write_text("".join(",".join(cells) + "\n" for cells in rows))
    read(path)  # the table itself is one that is read
    wrong, refused = [], 0
    for how, text in mutated_tables(rows):
        path.write_text(text, encoding="utf-8")
        try:
            read(path)
        except UserError as error:
            refused += 1
            if name not in str(error):
                wrong.append(f"{how}: names no file: {error}")
        except Exception as error:  # a claim about all of them
            wrong.append(f"{how}: {type(error).__name__}: {error}"[:200])
    assert wrong == []
    assert refused
