"""What SUV depends on, case by case, from a CSV or JSON file."""

import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from difflib import get_close_matches
from math import isclose
from pathlib import Path
from typing import Any

from nnunetv2_muduo.datasets.suv import F18_HALF_LIFE_IN_S, Injection
from nnunetv2_muduo.errors import UserError, shortened
from nnunetv2_muduo.json_files import parse_json

_COLUMNS = (
    "case",
    "injected_dose_bq",
    "injected_dose_mbq",
    "weight_kg",
    "decay_s",
    "injection_time",
    "acquisition_time",
    "half_life_s",
)
_SAME = 1e-3  # relative difference of what is given twice, and its least in seconds
_ALIKE = 0.8  # of names of columns: one was meant


def read_suv_table(path: Path) -> dict[str, Injection]:
    """Case -> what its SUV depends on.

    Columns of the CSV file (comma or semicolon between them), or keys of each case in the JSON file ({case: {...}}):
    `case` (its identifier, or its folder below the one that is harmonised), `injected_dose_bq` or `injected_dose_mbq`,
    `weight_kg`, and either `decay_s` (from the injection to the time that the image's decay correction refers to; 0
    where it is the injection) or `injection_time` and `acquisition_time` (dates with times, or times of day);
    `half_life_s` is that of fluorine-18 if not given.

    Raises:
        UserError: naming the case and what is missing or implausible.
    """
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _csv_rows(path)
    table: dict[str, Injection] = {}
    for name, row in rows:
        case = unicodedata.normalize("NFC", name)  # file systems compose letters otherwise than keyboards
        if case in table:
            raise UserError(f"{path} names the case '{case}' twice; keep one of them.")
        try:
            injection = _injection(row)
        except ValueError as error:
            raise UserError(f"{path}, case '{case}': {error}.") from error
        if problem := injection.problem():
            raise UserError(f"{path}, case '{case}': {problem}.")
        table[case] = injection
    return table


def _csv_rows(path: Path) -> Sequence[tuple[str, Mapping[str, Any]]]:
    text = _text(path)
    header = text.partition("\n")[0]
    rows = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if header.count(";") > header.count(",") else ","
    )
    try:
        columns = list(rows.fieldnames or ())
        if "case" not in columns:
            raise UserError(f"{path} has no column 'case'; its first line must name the columns.")
        if twice := [column for column in _COLUMNS if columns.count(column) > 1]:
            raise UserError(f"{path} has the column '{twice[0]}' twice; keep one of them.")
        named: list[tuple[str, dict[str, Any]]] = []
        for row in rows:
            case, beyond = (row["case"] or "").strip(), row.pop(None, ())  # type: ignore[call-overload]
            if case and any(beyond):
                raise UserError(
                    f"{path}, case '{case}': there are more cells than columns; mind decimal points (not commas), or "
                    "separate the columns by semicolons."
                )
            if case:
                named.append((case, row))
        return named
    except csv.Error as error:
        raise UserError(f"{path} is no CSV table ({error}, line {rows.line_num}); correct it.") from error


def _json_rows(path: Path) -> Sequence[tuple[str, Mapping[str, Any]]]:
    try:
        content = parse_json(_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); correct it.") from error
    if not isinstance(content, dict) or not all(isinstance(row, dict) for row in content.values()):
        raise UserError(f'{path} must look like {{"case": {{"injected_dose_mbq": 350, ...}}, ...}}.')
    return list(content.items())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark in front
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8; save it as such ('CSV UTF-8' in spreadsheets).") from error


def _injection(row: Mapping[str, Any]) -> Injection:
    for name in row:
        if name not in _COLUMNS and (
            meant := get_close_matches(str(name).strip().lower(), _COLUMNS, n=1, cutoff=_ALIKE)
        ):
            raise ValueError(f"'{name}' is not known; {meant[0]} may be meant")
    in_mbq = _number(row, "injected_dose_mbq")
    dose = _one_of(_number(row, "injected_dose_bq"), None if in_mbq is None else in_mbq * 1e6, "doses")
    half_life = _number(row, "half_life_s")
    return Injection(
        dose_in_bq=_required(dose, "injected_dose_bq or injected_dose_mbq"),
        weight_in_kg=_required(_number(row, "weight_kg"), "weight_kg"),
        elapsed_in_s=_required(
            _one_of(_number(row, "decay_s"), _elapsed(row), "times of decay"),
            "decay_s, or injection_time and acquisition_time,",
        ),
        half_life_in_s=F18_HALF_LIFE_IN_S if half_life is None else half_life,
    )


def _one_of(first: float | None, second: float | None, what: str) -> float | None:
    """What is given in one way, or in two that agree."""
    if first is None or second is None:
        return second if first is None else first
    if not isclose(first, second, rel_tol=_SAME, abs_tol=_SAME):
        raise ValueError(f"its {what} are {first:g} and {second:g}; keep the right one")
    return first


def _required(value: float | None, name: str) -> float:
    if value is None:
        raise ValueError(f"{name} is missing")
    return value


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None or str(value).strip() == "":
        return None
    try:
        if isinstance(value, bool) or "_" in str(value):  # which Python takes for numbers
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} is '{shortened(str(value), most=40)}', which is no number; mind the decimal point"
        ) from error


def _elapsed(row: Mapping[str, Any]) -> float | None:
    """Seconds between two dates with times, or two times of day, between which midnight may pass."""
    stamps = [str(row.get(name) or "").strip() for name in ("injection_time", "acquisition_time")]
    if not all(stamps):
        return None
    try:
        if any("-" in stamp for stamp in stamps):
            if any(":" not in stamp for stamp in stamps):  # dates alone would be midnight
                raise ValueError
            injected, acquired = (datetime.fromisoformat(stamp) for stamp in stamps)
            return (acquired - injected).total_seconds()
        day = datetime(2000, 1, 1)
        injected, acquired = (datetime.combine(day, time.fromisoformat(stamp)) for stamp in stamps)
        return (acquired - injected + (timedelta(days=1) if acquired < injected else timedelta())).total_seconds()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the times '{stamps[0]}' and '{stamps[1]}' are not both like 2026-01-31T10:15:00, or both like 10:15:00"
        ) from error
