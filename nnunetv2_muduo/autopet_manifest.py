"""What autopet.json, the manifest of `muduo convert-autopet`, tells of a dataset's cases."""

from collections.abc import Mapping
from pathlib import Path

from nnunetv2_muduo.json_files import table_or_nothing

MANIFEST = "autopet.json"


def sets_told(dataset: Path) -> dict[str, set[str]]:
    """Set -> cases, as the manifest of the last run tells; nothing without one."""
    sets: dict[str, set[str]] = {}
    for case, which in _told(dataset, "set").items():
        sets.setdefault(which, set()).add(case)
    return sets


def patients_told(dataset: Path) -> dict[str, str]:
    """Case -> patient, as the manifest of the last run tells; nothing without one."""
    return _told(dataset, "patient")


def _told(dataset: Path, what: str) -> dict[str, str]:
    """Case -> a text about it; a case of which a damaged manifest says something else is passed over."""
    cases = table_or_nothing(dataset / MANIFEST).get("cases")
    if not isinstance(cases, Mapping):
        return {}
    told = {case: about.get(what) for case, about in cases.items() if isinstance(about, Mapping)}
    return {case: text for case, text in told.items() if isinstance(text, str)}
