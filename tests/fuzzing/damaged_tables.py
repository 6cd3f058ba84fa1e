"""CSV tables with cells, lines and separators that are not what they should be."""

from pathlib import Path
from random import Random

from damaged_bytes import damaged_bytes

_CELLS = (
    "",
    "text",
    "-1",
    "1e400",
    "nan",
    "inf",
    '"',
    '"open',
    "1,5",
    "0x10",
    "1;2",
    "\x00",
    "25:61",
    "2026-13-01T00:00",
    "9" * 400,
    "Ωμέγα",
    "../..",
    "=1+1",
    "\u202e",
)
_DONE = {0: "line missing", 1: "cell missing", 2: "line twice", 3: "more cells"}


def damage_table_file(file: Path, rng: Random) -> str:
    """Damage a CSV file where it lies; returns what was done."""
    if rng.random() < 0.35:
        changed, how = damaged_bytes(file.read_bytes(), rng)
        file.write_bytes(changed)
        return how
    rows = [line.split(",") for line in file.read_text(encoding="utf-8").splitlines()]
    line = rng.randrange(len(rows))
    column = rng.randrange(len(rows[line]))
    way, cell = rng.randrange(6), rng.choice(_CELLS)
    if way == 0:
        del rows[line]
    elif way == 1:
        del rows[line][column]
    elif way == 2:
        rows.insert(line, rows[line])
    elif way == 3:
        rows[line] += [cell] * rng.choice([1, 300])
    else:
        rows[line][column] = cell
    file.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    return f"line {line}, column {column}: {_DONE[way] if way in _DONE else ascii(cell)[:40]}"
