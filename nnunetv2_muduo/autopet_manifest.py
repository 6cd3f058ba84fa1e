"""What autopet.json, the manifest of `muduo convert-autopet`, tells of a dataset's cases."""

import json
from pathlib import Path
from typing import Any

MANIFEST = "autopet.json"


def table_in(file: Path) -> dict[str, Any]:
    """The JSON table in a file; an empty one where there is none or it is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def sets_told(dataset: Path) -> dict[str, set[str]]:
    """Set -> cases, as the manifest of the last run tells; nothing without one."""
    sets: dict[str, set[str]] = {}
    for case, told in table_in(dataset / MANIFEST).get("cases", {}).items():
        sets.setdefault(told["set"], set()).add(case)
    return sets


def patients_told(dataset: Path) -> dict[str, str]:
    """Case -> patient, as the manifest of the last run tells; nothing without one."""
    return {case: told["patient"] for case, told in table_in(dataset / MANIFEST).get("cases", {}).items()}
