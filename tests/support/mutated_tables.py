"""Every CSV table that differs from a valid one in one cell, line or column."""

from collections.abc import Iterator, Sequence

_CELLS = (
    "",
    "text",
    "-1",
    "0",
    "1e400",
    "nan",
    '"',
    '"open',
    "1,5",
    "0x10",
    "1_0",
    "\x00",
    "25:61",
    "2026-01-31",
    "9" * 400,
)


def mutated_tables(rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """(what was done, the text of the whole) for rows of cells, the names of the columns first."""
    for line, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            for other in _CELLS:
                changed = [*cells[:column], other, *cells[column + 1 :]]
                yield f"line {line}: {ascii(other)[:20]} for {cell}", _text([*rows[:line], changed, *rows[line + 1 :]])
            shorter = [*cells[:column], *cells[column + 1 :]]
            yield f"line {line}: without {cell}", _text([*rows[:line], shorter, *rows[line + 1 :]])
            longer = [*cells[:column], cell, *cells[column:]]
            yield f"line {line}: {cell} twice", _text([*rows[:line], longer, *rows[line + 1 :]])
        yield f"line {line} twice", _text([*rows[: line + 1], *rows[line:]])
        yield f"without line {line}", _text([*rows[:line], *rows[line + 1 :]])
    for column, name in enumerate(rows[0]):
        yield f"column {name} twice", _text([[*cells, cells[column]] for cells in rows])
        yield f"without column {name}", _text([[*cells[:column], *cells[column + 1 :]] for cells in rows])


def _text(rows: Sequence[Sequence[str]]) -> str:
    return "".join(",".join(cells) + "\n" for cells in rows)
