"""Every document that differs from a valid one in one entry, by a short list of ways in which files go wrong."""

import json
from collections.abc import Iterator
from typing import Any

DEEP = 400  # lists in lists: Python's parser takes them, a copy by `deepcopy` does not
JUNK: tuple[Any, ...] = (
    None,
    True,
    "",
    "text",
    "\ud800",
    "x" * 5000,
    -1,
    0,
    0.5,
    10**30,
    10**400,
    1e30,
    float("nan"),
    float("inf"),
    [],
    [None],
    [[1, 2], "a"],
    {},
    {"": {}},
    {"0": None},
)


def mutated_documents(document: Any) -> Iterator[tuple[str, str]]:
    """(what was done where, the text of the whole), entry by entry.

    Args:
        document: of plain values, as JSON has them.
    """
    for place, value in _entries(document):
        name = ".".join(map(str, place)) or "all"
        for how, changed in _instead_of(value):
            yield f"{name}: {how}", _text(_with(document, place, changed))
        yield f"{name}: {DEEP} lists in each other", _text(_with(document, place, "@")).replace('"@"', _deep())
        if isinstance(value, dict):
            for key in value:
                rest = {other: entry for other, entry in value.items() if other != key}
                yield f"{name}: without {key}", _text(_with(document, place, rest))
                yield f"{name}: {key} in capitals", _text(_with(document, place, rest | {key.upper(): value[key]}))


def _entries(value: Any, place: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    """Keys that lead to each entry, and what is there; the whole first."""
    yield place, value
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _entries(part, (*place, key))


def _instead_of(value: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f"is {ascii(junk)[:40]}", junk) for junk in JUNK)
    if isinstance(value, list) and value:
        yield from (("one is missing", value[:-1]), ("all twice", value * 2), ("a table", dict(enumerate(value))))
    if isinstance(value, dict):
        yield from (("one more", value | {"more": None}), ("a list", list(value)))
    if isinstance(value, int | float):
        yield from (("as text", str(value)), ("in a list", [value]), ("negative", -value))


def _with(document: Any, place: tuple, value: Any) -> Any:
    """A copy in which one entry is another."""
    if not place:
        return value
    copy = dict(document) if isinstance(document, dict) else list(document)
    copy[place[0]] = _with(document[place[0]], place[1:], value)
    return copy


def _text(document: Any) -> str:
    return json.dumps(document)


def _deep() -> str:
    return "[" * DEEP + "]" * DEEP
