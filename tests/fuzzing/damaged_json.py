"""JSON that is well written and says the wrong thing, or is not even well written."""

import json
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

from damaged_bytes import damaged_bytes

DEEP = 100_000  # brackets in brackets: more than Python's parser goes into

JUNK: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    3.5,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "text",
    "0",
    "../../outside",
    "/etc/passwd",
    "a\x00b",
    "\ud800",
    "Ωμέγα 🫁",
    "x" * 5000,
    [],
    [None],
    [[1, 2], "a"],
    {},
    {"": {}},
    {"0": None},
)


def damage_json_file(file: Path, rng: Random) -> str:
    """Damage a JSON file where it lies; returns what was done."""
    data = file.read_bytes()
    if rng.random() < 0.3:
        changed, how = damaged_bytes(data, rng)
    else:
        text, how = damaged_json(json.loads(data), rng)
        changed = text.encode("utf-8", "surrogatepass")
    file.write_bytes(changed)
    return how


def damaged_json(content: Any, rng: Random) -> tuple[str, str]:
    """A text, JSON unless said otherwise, that differs from the content in one place; and what was done."""
    way = rng.random()
    if way < 0.03:
        return "[" * DEEP, f"{DEEP} brackets, none closed"
    if way < 0.06:
        return "[" * DEEP + "]" * DEEP, f"{DEEP} lists in each other"
    if way < 0.10:
        junk = rng.choice(JUNK)
        return json.dumps(junk), f"all of it is {_shown(junk)}"
    changed, path, how = changed_in_one_place(content, rng)
    if way < 0.14 and isinstance(changed, dict) and changed:
        key = rng.choice(list(changed))
        twice = f"{{{json.dumps(key)}: {json.dumps(rng.choice(JUNK))}, {json.dumps(changed)[1:]}"
        return twice, f"{key} twice"
    return json.dumps(changed), f"{'.'.join(map(str, path)) or 'all'}: {how}"


def changed_in_one_place(content: Any, rng: Random) -> tuple[Any, list, str]:
    """(a changed copy, keys that lead to the change, what was done)."""
    content = deepcopy(content)
    path = rng.choice([place for place in _places(content) if place] or [[]])
    if not path:
        junk = rng.choice(JUNK)
        return junk, path, f"is {_shown(junk)}"
    holder = content
    for key in path[:-1]:
        holder = holder[key]
    how = _change(holder, path[-1], rng)
    return content, path, how


def _change(holder: Any, key: Any, rng: Random) -> str:
    """Change one entry of a table or list."""
    value = holder[key]
    way = rng.randrange(6)
    if way == 0:
        del holder[key]
        return "missing"
    if way == 1:
        holder[key] = (
            list(value.items()) if isinstance(value, dict) else {str(i): v for i, v in enumerate(_list(value))}
        )
        return "list for table, or the other way round"
    if way == 2 and isinstance(holder, dict):
        holder[f"{key} "] = holder.pop(key)
        return "key with a blank"
    if way == 3 and isinstance(value, list | str) and value:
        holder[key] = value * rng.choice([2, 50])
        return "repeated"
    holder[key] = rng.choice(JUNK)
    return f"is {_shown(holder[key])}"


def _places(content: Any, path: tuple = (), depth: int = 0) -> list[list]:
    """Keys that lead to each entry; those near the top, of which there are few, counted several times."""
    entries = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    found = [list(path)] * max(1, 4 - depth)
    for key, value in entries:
        found += _places(value, (*path, key), depth + 1)
    return found


def _list(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def _shown(value: Any) -> str:
    return ascii(value)[:40]
