"""JSON files, read so that whatever is wrong with one ends in a sentence that names it."""

import json
import re
from pathlib import Path
from typing import Any

from nnunetv2_muduo.errors import UserError

MOST_BYTES = 256 << 20  # a manifest of 10,000 cases takes some 20 MB
MOST_LEVELS = 64  # of lists and tables in each other; plans have seven, and not all that Python does copes with many
_TOO_DEEP = "it nests lists or tables too deeply"
_HALF_A_CHARACTER = re.compile("[\ud800-\udfff]")  # what two \\u of one character leave, where only one is there
_MOST = 1e300  # whole numbers beyond may be none in floating point


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        UserError: if it is missing, cannot be read or is not JSON.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is larger than {MOST_BYTES >> 20} MB, which no such file is; give another one.")
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing.") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8; save it as such.") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); correct it.") from error


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: if it is no JSON, holds half of a character (as in "\\ud800"), which nobody could write again, or
            lists and tables lie in each other deeper than `MOST_LEVELS`.
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    if _is_deep(content):
        raise ValueError(_TOO_DEEP)
    if _HALF_A_CHARACTER.search(json.dumps(content, ensure_ascii=False) if "\\u" in text else ""):
        raise ValueError("it holds half of a character (a lone surrogate)")
    return content


def is_number(value: Any) -> bool:
    """Whether a value out of JSON is a number that floating point holds: no switch, neither NaN nor infinite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _MOST


def _is_deep(content: Any) -> bool:
    level = [content]
    for _ in range(MOST_LEVELS):
        level = [
            part
            for entry in level
            if isinstance(entry, dict | list)
            for part in (entry.values() if isinstance(entry, dict) else entry)
        ]
    return bool(level)


def read_table(path: Path) -> dict[str, Any]:
    """What a JSON file holds, where that is a table.

    Raises:
        UserError: as `read_json`, and if it holds anything but a table.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a JSON table {{...}}; correct it.")
    return content


def table_or_nothing(path: Path) -> dict[str, Any]:
    """The JSON table in a file; an empty one where there is none or it is damaged."""
    try:
        return read_table(path)
    except UserError:
        return {}
