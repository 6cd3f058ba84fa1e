"""What SUV depends on, case by case, from a CSV or JSON file."""

import csv
import io
import unicodedata
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

from nnunetv2_muduo.datasets.suv import F18_HALF_LIFE_IN_S, Injection
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import parse_json

_LONGEST_SHOWN = 40  # of what stands where a number should


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


def _csv_rows(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    text = _text(path)
    header = text.partition("\n")[0]
    rows = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if header.count(";") > header.count(",") else ","
    )
    try:
        if "case" not in (rows.fieldnames or ()):
            raise UserError(f"{path} has no column 'case'; its first line must name the columns.")
        return [(row["case"].strip(), row) for row in rows if (row["case"] or "").strip()]
    except csv.Error as error:
        raise UserError(f"{path} is no CSV table ({error}, line {rows.line_num}); correct it.") from error


def _json_rows(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
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
    dose = _number(row, "injected_dose_bq")
    if dose is None and (in_mbq := _number(row, "injected_dose_mbq")) is not None:
        dose = in_mbq * 1e6
    elapsed = _number(row, "decay_s")
    half_life = _number(row, "half_life_s")
    return Injection(
        dose_in_bq=_required(dose, "injected_dose_bq or injected_dose_mbq"),
        weight_in_kg=_required(_number(row, "weight_kg"), "weight_kg"),
        elapsed_in_s=_required(
            _elapsed(row) if elapsed is None else elapsed, "decay_s, or injection_time and acquisition_time,"
        ),
        half_life_in_s=F18_HALF_LIFE_IN_S if half_life is None else half_life,
    )


def _required(value: float | None, name: str) -> float:
    if value is None:
        raise ValueError(f"{name} is missing")
    return value


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None or str(value).strip() == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        shown = str(value)[:_LONGEST_SHOWN]
        raise ValueError(f"{name} is '{shown}', which is no number; mind the decimal point") from error


def _elapsed(row: Mapping[str, Any]) -> float | None:
    """Seconds between two dates with times, or two times of day, between which midnight may pass."""
    stamps = [str(row.get(name) or "").strip() for name in ("injection_time", "acquisition_time")]
    if not all(stamps):
        return None
    try:
        if any("-" in stamp for stamp in stamps):
            injected, acquired = (datetime.fromisoformat(stamp) for stamp in stamps)
            return (acquired - injected).total_seconds()
        day = datetime(2000, 1, 1)
        injected, acquired = (datetime.combine(day, time.fromisoformat(stamp)) for stamp in stamps)
        return (acquired - injected + (timedelta(days=1) if acquired < injected else timedelta())).total_seconds()
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the times '{stamps[0]}' and '{stamps[1]}' are not both like 2026-01-31T10:15:00, or both like 10:15:00"
        ) from error
