"""The rows of a click benchmark on disk: appended organ by organ, so that an interrupted run goes on."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, fields
from math import inf
from pathlib import Path

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.click_summary import ClickRow
from nnunetv2_muduo.files import clear_away_left_behind, write_text
from nnunetv2_muduo.json_files import read_table, table_or_nothing

ROWS, SETTINGS, SOURCES = "clicks.csv", "clicks.json", "cases.json"
_COLUMNS = [field.name for field in fields(ClickRow)]
_TYPES = {"voxels": int, "clicks": int, "dice": float, "windows": int, "seconds": float}


class ClickRecord:
    """`clicks.csv` of a folder, and beside it the settings that all its rows share and what each case was then.

    Args:
        folder: made if missing.
        settings: plain values; a folder that was begun with others is refused.
        clicks: the numbers of clicks that an organ needs a row for; an organ that lacks one is measured again.
        stamps: case -> plain values that tell whether it is still the same; rows of one that is not are forgotten.

    Attributes:
        rows: all that are whole and still hold.
        changed: cases whose rows were forgotten, sorted.

    Raises:
        UserError: for a folder with other settings, or a file that nobody here wrote.
    """

    def __init__(self, folder: Path, *, settings: Mapping, clicks: Sequence[int], stamps: Mapping) -> None:
        self.path = folder / ROWS
        clear_away_left_behind(folder)
        _agree_on_settings(folder, settings)
        text = _read(self.path)
        known = _complete(_parse(text, self.path), set(clicks))
        before, now = table_or_nothing(folder / SOURCES), json.loads(json.dumps(stamps))
        self.changed = sorted({row.case for row in known if row.case in now and before.get(row.case) != now[row.case]})
        self.rows = [row for row in known if row.case not in self.changed]
        whole = _as_csv([_COLUMNS, *map(astuple, self.rows)])
        if whole != text:  # new, or a run was killed while it wrote, or cases are others now
            write_text(self.path, whole)
        write_text(folder / SOURCES, json.dumps(before | now) + "\n")

    @property
    def finished(self) -> set[tuple[str, str]]:
        """(case, organ) of everything that need not be measured again."""
        return {(row.case, row.organ) for row in self.rows}

    def append(self, rows: Sequence[ClickRow]) -> None:
        """Add all rows of one organ of one case and see them to the disk."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_as_csv(map(astuple, rows)))
            file.flush()
            os.fsync(file.fileno())
        self.rows += rows


def _agree_on_settings(folder: Path, settings: Mapping) -> None:
    path, wanted = folder / SETTINGS, json.loads(json.dumps(settings))
    if not path.is_file():
        if (folder / ROWS).exists():
            raise UserError(f"{folder} has a {ROWS} but no {SETTINGS} that tells its settings; choose another with -o.")
        write_text(path, json.dumps(wanted, indent=2) + "\n")
        return
    found = read_table(path)
    differing = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
    if differing:
        details = ", ".join(f"{key} {found.get(key)} instead of {wanted.get(key)}" for key in differing)
        raise UserError(f"{folder} holds a benchmark with other settings ({details}); choose another folder with -o.")


def _read(path: Path) -> str:
    """What is in the file; nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); delete it or choose another folder.") from error


def _parse(text: str, path: Path) -> list[ClickRow]:
    """All whole rows; what follows the last line break was being written."""
    lines = text.split("\n")[:-1]
    reader = csv.DictReader(lines, strict=True)
    try:
        if lines and reader.fieldnames != _COLUMNS:
            raise ValueError(f"its columns are {', '.join(reader.fieldnames or ())}")
        rows = [
            ClickRow(**{column: _TYPES.get(column, str)(cell[column]) for column in _COLUMNS})  # type: ignore[arg-type]
            for cell in reader
        ]
        if wrong := [row for row in rows if not (0 <= row.dice <= 1 and 0 <= row.seconds < inf)]:
            raise ValueError(f"a Dice of {wrong[0].dice:g} after {wrong[0].seconds:g} s")
        return rows
    except (ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} is no record of clicks ({error}); delete it or choose another folder.") from error


def _complete(rows: Sequence[ClickRow], clicks: set[int]) -> list[ClickRow]:
    """Rows of organs that have one for each number of clicks."""
    have: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        have.setdefault((row.case, row.organ), set()).add(row.clicks)
    return [row for row in rows if have[row.case, row.organ] >= clicks]


def _as_csv(lines: Iterable[Sequence]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(lines)
    return stream.getvalue()
