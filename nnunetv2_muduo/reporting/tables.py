"""Tables of numbers side by side: the best in bold, each with its difference to the first column."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.reporting.panels import spoken_key
from nnunetv2_muduo.reporting.validation import Scores


@dataclass(frozen=True)
class Cell:
    """One number.

    Attributes:
        value: NaN where there is none.
        text: the number as it is shown; a dash for none.
        spread: standard deviation as it is shown; "" for none.
        difference: to the first column, signed; "" for none.
        best: whether no other in its row is better.
    """

    value: float
    text: str
    spread: str = ""
    difference: str = ""
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Attributes:
        caption: what it shows.
        columns: heads, without that of the rows' names.
        rows: (name, cells); the last one is the mean where `has_mean`.
        corner: head of the rows' names.
        has_mean: whether the last row sums up.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    corner: str = "organ"
    has_mean: bool = True


@dataclass(frozen=True)
class Metric:
    """How a metric is shown.

    Attributes:
        key: in summary.json.
        caption: of its table.
        digits: behind the point.
        better: +1 where more is better, -1 where less is, 0 where neither.
    """

    key: str
    caption: str
    digits: int
    better: int


@dataclass(frozen=True)
class PairedDifference:
    """One organ of one method against another, as differences.json of `muduo evaluate` has it.

    Attributes:
        method, baseline: names; method minus baseline.
        metric: its key.
        organ: name, or "mean".
        mean, low, high: over the cases, and the interval's ends; NaN for none.
        cases: that count.
    """

    method: str
    baseline: str
    metric: str
    organ: str
    mean: float
    low: float
    high: float
    cases: int


DICE = Metric("Dice", "Dice", 3, 1)
METRICS = (
    DICE,
    Metric("HD95", "HD95 in mm (less is better)", 1, -1),
    Metric("ASD", "ASD in mm (less is better)", 2, -1),
    Metric("RAVD", "RAVD (less is better)", 3, -1),
    Metric("volume_pred_ml", "Predicted volume in ml", 1, 0),
    Metric("FPV_ml", "False-positive volume in ml (less is better)", 2, -1),
    Metric("FNV_ml", "False-negative volume in ml (less is better)", 2, -1),
)


def metric_table(scores: Mapping[str, Scores | None], metric: Metric, *, suffix: str = "") -> Table | None:
    """Organs down, methods across, the mean over the organs last; None where nobody has a number.

    Means over other cases, such as those of another fold, or over other organs are not compared: none is best, and none
    has a difference.

    Args:
        scores: method -> what it reached; None for nothing.
        metric: which.
        suffix: of the caption.
    """
    measured = [found for found in _in(scores) if found and metric.key in found.means]
    organs = dict.fromkeys(organ for found in measured for organ in found.means[metric.key])
    same_cases = _all_alike({case.name for case in found.cases} for found in measured)
    same_means = same_cases and _all_alike(found.means[metric.key] for found in measured)
    rows = []
    for organ in organs:
        values = [_of(found, metric.key, organ) for found in scores.values()]
        spreads = [
            found.deviations.get(metric.key, {}).get(organ, np.nan) if found else np.nan for found in _in(scores)
        ]
        rows.append((organ, compared(values, metric, spreads, differences=same_cases, best=same_cases)))
    overall = [found.foreground.get(metric.key, np.nan) if found else np.nan for found in _in(scores)]
    if not any(np.isfinite(cell.value) for _, cells in rows for cell in cells):
        return None
    reference = _reference_column(scores, organs) if metric.key == "volume_pred_ml" and same_cases else None
    columns = tuple(scores)
    rows.append(("mean", compared(overall, metric, differences=same_means, best=same_means)))
    if reference:
        columns = ("reference", *columns)
        rows = [(name, (reference[name], *cells)) for name, cells in rows]
    caption = f"{metric.caption}{suffix}{'' if same_cases else ' (columns are of other cases: not to be compared)'}"
    return Table(caption, columns, tuple(rows))


def difference_table(found: Sequence[PairedDifference], metric: Metric) -> Table | None:
    """Organs down, methods across, each with its interval; None where no difference is of this metric."""
    ours = {(each.organ, each.method): each for each in found if each.metric == metric.key and np.isfinite(each.mean)}
    if not ours:
        return None
    organs, methods = (tuple(dict.fromkeys(key[place] for key in ours)) for place in (0, 1))
    cells = [(organ, tuple(_difference(ours.get((organ, method)), metric) for method in methods)) for organ in organs]
    baseline = next(iter(ours.values())).baseline
    caption = f"Difference to {baseline} case by case, with 95 % interval: {metric.caption}"
    return Table(caption, methods, tuple(cells))


def _difference(found: PairedDifference | None, metric: Metric) -> Cell:
    if found is None:
        return Cell(np.nan, "\N{EN DASH}")
    mean, low, high = (
        f"{value:+.{metric.digits}f}".replace("-", "\N{MINUS SIGN}") for value in (found.mean, found.low, found.high)
    )
    text = f"{mean} [{low}, {high}]" if np.isfinite(found.low) else mean
    return Cell(found.mean, text, difference=f"{found.cases} case{'s' * (found.cases != 1)}")


def case_table(scores: Mapping[str, Scores | None]) -> Table | None:
    """Cases down, methods across: the mean Dice of each case, worst first; None without cases."""
    by_case = {name: {case.name: case.mean for case in found.cases} for name, found in scores.items() if found}
    cases = dict.fromkeys(case for means in by_case.values() for case in means)
    if not cases:
        return None
    rows = [(case, [by_case.get(name, {}).get(case, np.nan) for name in scores]) for case in cases]
    rows.sort(key=lambda row: np.nan_to_num(mean_of(row[1]), nan=np.inf))
    compact = tuple((case, compared(values, DICE)) for case, values in rows)
    return Table("Mean Dice of each case, worst first", tuple(scores), compact, corner="case", has_mean=False)


def source_table(caption: str, dice: Mapping[str, Sequence[float]], organs: Sequence[str]) -> Table:
    """A teacher report: organs down, sources across."""
    names = list(organs) if all(len(v) == len(organs) for v in dice.values()) else []
    names = names or [f"output {k + 1}" for k in range(max(map(len, dice.values())))]
    rows = [(name, [float(v[k]) if k < len(v) else np.nan for v in dice.values()]) for k, name in enumerate(names)]
    means = [float(mean_of(v)) for v in dice.values()]
    cells = tuple((name, compared(values, DICE, differences=False)) for name, values in [*rows, ("mean", means)])
    return Table(caption, tuple(map(spoken_key, dice)), cells)


def compared(
    values: Sequence[float],
    metric: Metric,
    spreads: Sequence[float] = (),
    *,
    differences: bool = True,
    best: bool = True,
) -> tuple[Cell, ...]:
    """Cells of a row; nothing is best where there is nothing to compare with."""
    finite = [value for value in values if np.isfinite(value)]
    leading = {1: max, -1: min}[metric.better](finite) if best and metric.better and len(finite) > 1 else None
    spreads = spreads or [np.nan] * len(values)
    return tuple(
        Cell(
            float(value),
            f"{value:.{metric.digits}f}" if np.isfinite(value) else "\N{EN DASH}",
            f"{spread:.{metric.digits}f}" if np.isfinite(spread) else "",
            f"{value - values[0]:+.{metric.digits}f}".replace("-", "\N{MINUS SIGN}")
            if differences and k > 0 and np.isfinite(value) and np.isfinite(values[0])
            else "",
            leading is not None and bool(value == leading),
        )
        for k, (value, spread) in enumerate(zip(values, spreads, strict=True))
    )


def _all_alike(names: Iterable[Collection[str]]) -> bool:
    return len({frozenset(each) for each in names}) < 2


def _in(scores: Mapping[str, Scores | None]) -> list[Scores | None]:
    return list(scores.values())


def _of(found: Scores | None, metric: str, organ: str) -> float:
    return found.means.get(metric, {}).get(organ, np.nan) if found else np.nan


def _reference_column(scores: Mapping[str, Scores | None], organs: Mapping[str, None]) -> dict[str, Cell]:
    """Volumes of the reference, the same for all methods that were evaluated on the same cases."""
    first = next(found for found in scores.values() if found)
    values = {organ: first.means.get("volume_ref_ml", {}).get(organ, np.nan) for organ in organs}
    values["mean"] = first.foreground.get("volume_ref_ml", np.nan)
    return {name: compared([value], METRICS[4])[0] for name, value in values.items()}
