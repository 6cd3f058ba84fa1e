"""Dice against the number of clicks: rows of a benchmark, and their means as a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnunetv2_muduo.evaluation.markdown import markdown_table


@dataclass(frozen=True)
class ClickRow:
    """One organ of one case after so many clicks.

    Attributes:
        case, organ: names.
        voxels: of the organ, as far as they count.
        clicks: so many.
        dice: in [0, 1].
        windows: of the teacher that were asked so far.
        seconds: that the teacher took for all clicks so far.
    """

    case: str
    organ: str
    voxels: int
    clicks: int
    dice: float
    windows: int
    seconds: float


@dataclass(frozen=True)
class ClickSummary:
    """What a benchmark found.

    Attributes:
        rows: for every organ of every case one for each number of clicks.
        organs: names of the K organs that rows are about, in the order of the table.
        clicks: the C numbers of clicks, ascending.
    """

    rows: tuple[ClickRow, ...]
    organs: tuple[str, ...]
    clicks: tuple[int, ...]

    @classmethod
    def of(cls, rows: Sequence[ClickRow], organs: Sequence[str]) -> "ClickSummary":
        """Of these rows; organs that no row is about are left out."""
        seen = {row.organ for row in rows}
        clicks = tuple(sorted({row.clicks for row in rows}))
        return cls(tuple(rows), tuple(organ for organ in organs if organ in seen), clicks)

    @cached_property
    def dice(self) -> np.ndarray:
        """[K, C] mean Dice over the cases."""
        return np.array(
            [
                [np.mean([row.dice for row in self.rows if (row.organ, row.clicks) == (organ, n)]) for n in self.clicks]
                for organ in self.organs
            ]
        )

    @property
    def mean(self) -> np.ndarray:
        """[C] mean of the organs."""
        return self.dice.mean(0)

    def cases(self, organ: str) -> int:
        """In how many cases the organ was clicked on."""
        return len({row.case for row in self.rows if row.organ == organ})

    @property
    def seconds_per_click(self) -> float:
        """Mean over all organs of all cases."""
        last = [row for row in self.rows if row.clicks == self.clicks[-1]]
        return sum(row.seconds for row in last) / sum(row.clicks for row in last)

    @property
    def windows(self) -> float:
        """That an organ needed after all clicks, mean over all organs of all cases."""
        return float(np.mean([row.windows for row in self.rows if row.clicks == self.clicks[-1]]))

    def as_table(self) -> str:
        """Markdown: an organ a row with its number of cases, a number of clicks a column; the mean of organs last."""
        head = ["Dice", "n", *(f"{n} click{'s' if n > 1 else ''}" for n in self.clicks)]
        rows = [(organ, str(self.cases(organ)), values) for organ, values in zip(self.organs, self.dice, strict=True)]
        rows.append(("**mean of organs**", "", self.mean))
        return markdown_table(head, [[name, count, *(f"{value:.3f}" for value in row)] for name, count, row in rows])
