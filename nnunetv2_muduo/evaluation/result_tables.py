"""What an evaluation found as Markdown, to print and to keep."""

from collections.abc import Sequence

import numpy as np

from nnunetv2_muduo.evaluation.differences import Difference
from nnunetv2_muduo.evaluation.markdown import markdown_table
from nnunetv2_muduo.evaluation.organ_metrics import FOUND, HALLUCINATED, MISSED
from nnunetv2_muduo.evaluation.results import DISTANCES, Evaluation

_COLUMNS = {
    "Dice": ("Dice", 3),
    "HD95": ("HD95 mm", 1),
    "ASD": ("ASD mm", 2),
    "RAVD": ("RAVD", 3),
    "volume_ref_ml": ("reference ml", 1),
    "volume_pred_ml": ("predicted ml", 1),
}
_LESION_COLUMNS = {"FPV_ml": ("FPV ml", 2), "FNV_ml": ("FNV ml", 2)}
_DIGITS = {metric: digits for metric, (_, digits) in (_COLUMNS | _LESION_COLUMNS).items()}
_RULES = {
    "diagonal": "count with the diagonal of the image in HD95 and ASD",
    "exclude": "are left out of HD95 and ASD",
}
COMPARED = tuple(name for name in _DIGITS if not name.startswith("volume"))


def results_table(evaluation: Evaluation) -> str:
    """An organ a row: in how many cases it is found, missed, hallucinated; mean ± standard deviation of each metric."""
    columns = _COLUMNS | (_LESION_COLUMNS if evaluation.task.lesions else {})
    counts = [evaluation.counts(status) for status in (FOUND, MISSED, HALLUCINATED)]
    numbers = {metric: (evaluation.means(metric), evaluation.deviations(metric)) for metric in columns}
    rows = [
        [
            organ,
            *(str(count[k]) for count in counts),
            *(_spread(mean[k], deviation[k], _DIGITS[metric]) for metric, (mean, deviation) in numbers.items()),
        ]
        for k, organ in enumerate(evaluation.task.organs)
    ]
    rows.append(["**mean**", *(str(count.sum()) for count in counts), *(_overall(evaluation, m) for m in columns)])
    head = ["organ", "found", "missed", "made up", *(title for title, _ in columns.values())]
    return f"{markdown_table(head, rows)}\n\n{_note(evaluation)}"


def difference_tables(differences: Sequence[Difference]) -> str:
    """One table for each method and its baseline: an organ a row, a metric a column, with the 95 % interval."""
    tables = []
    for method, baseline in dict.fromkeys((d.method, d.baseline) for d in differences):
        chosen = [d for d in differences if (d.method, d.baseline) == (method, baseline)]
        tables.append(f"{method} minus {baseline}, mean [95 % interval] (cases)\n\n{_difference_table(chosen)}")
    return "\n\n".join(tables)


def _difference_table(differences: Sequence[Difference]) -> str:
    names = (*differences[0].organs, "**mean**")
    rows = [[name, *(_interval(difference, k) for difference in differences)] for k, name in enumerate(names)]
    head = ["organ", *((_COLUMNS | _LESION_COLUMNS)[difference.metric][0] for difference in differences)]
    return markdown_table(head, rows)


def _interval(difference: Difference, k: int) -> str:
    interval, digits = difference.interval, _DIGITS[difference.metric]
    if np.isnan(interval.mean[k]):
        return "-"
    if np.isnan(interval.low[k]):
        return f"{interval.mean[k]:+.{digits}f} ({interval.cases[k]})"
    ends = f"{interval.low[k]:+.{digits}f}, {interval.high[k]:+.{digits}f}"
    return f"{interval.mean[k]:+.{digits}f} [{ends}] ({interval.cases[k]})"


def _overall(evaluation: Evaluation, metric: str) -> str:
    return _spread(evaluation.foreground_mean(metric), evaluation.foreground_deviation(metric), _DIGITS[metric])


def _spread(mean: float, deviation: float, digits: int) -> str:
    if np.isnan(mean):
        return "-"
    return f"{mean:.{digits}f}" + ("" if np.isnan(deviation) else f" ± {deviation:.{digits}f}")


def _note(evaluation: Evaluation) -> str:
    return (
        f"{len(evaluation.cases)} case(s). Mean ± standard deviation over cases; the last row: mean of the organs, "
        "± over the cases' means.\n"
        f"Organs missed, or made up where the reference has none, have Dice 0 and {_RULES[evaluation.missed]} "
        f"({' and '.join(DISTANCES)} of single cases: inf)."
    )
