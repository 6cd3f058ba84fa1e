"""Metrics out of a summary.json, nnU-Net's own or that of `muduo evaluate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.json_files import is_number


@dataclass(frozen=True)
class CaseScore:
    """One case.

    Attributes:
        name: without the file ending.
        dice: organ -> Dice; NaN where it counts for nothing.
        prediction, reference: files as they were when they were compared; they may lie elsewhere by now.
    """

    name: str
    dice: dict[str, float]
    prediction: Path
    reference: Path

    @property
    def mean(self) -> float:
        """Mean Dice of the organs that count; NaN where none does."""
        return mean_of_finite(self.dice.values())


@dataclass(frozen=True)
class Scores:
    """What a summary.json says.

    Attributes:
        means: metric -> organ -> mean over the cases; NaN or missing where there is none.
        deviations: metric -> organ -> standard deviation over the cases (n - 1).
        foreground: metric -> mean over the organs.
        cases: in the order of the file.
    """

    means: dict[str, dict[str, float]]
    deviations: dict[str, dict[str, float]]
    foreground: dict[str, float]
    cases: tuple[CaseScore, ...]

    @property
    def organs_counted(self) -> int:
        """Organs with a mean Dice."""
        return sum(bool(np.isfinite(value)) for value in self.means.get("Dice", {}).values())


def scores_of(summary: Mapping[str, Any], organs: Mapping[str, str], *, file_ending: str) -> Scores:
    """Read a summary.json.

    Args:
        summary: its content.
        organs: name -> key in the file ("3" for a label, "(1, 2)" for a region).
        file_ending: of label maps, with the dot.
    """
    of_organ = {organ: summary["mean"].get(key, {}) for organ, key in organs.items()}
    names = dict.fromkeys(metric for values in of_organ.values() for metric in values)
    means = {m: {organ: as_number(values.get(m)) for organ, values in of_organ.items()} for m in names}
    cases = tuple(_case(entry, organs, file_ending) for entry in summary.get("metric_per_case", []))
    return Scores(means, _deviations(summary, organs, means, cases), _foreground(summary, means), cases)


def as_number(value: Any) -> float:
    """NaN for what is none."""
    return float(value) if is_number(value) else float("nan")


def mean_of_finite(values: Any) -> float:
    """Mean of the finite ones; NaN where there is none."""
    return float(mean_of([value for value in values if np.isfinite(value)]))


def _case(entry: Mapping[str, Any], organs: Mapping[str, str], file_ending: str) -> CaseScore:
    metrics = entry.get("metrics", {})
    prediction = Path(str(entry.get("prediction_file", "")))
    return CaseScore(
        prediction.name.removesuffix(file_ending),
        {organ: as_number(metrics.get(key, {}).get("Dice")) for organ, key in organs.items()},
        prediction,
        Path(str(entry.get("reference_file", ""))),
    )


def _deviations(
    summary: Mapping[str, Any],
    organs: Mapping[str, str],
    means: Mapping[str, Mapping[str, float]],
    cases: tuple[CaseScore, ...],
) -> dict[str, dict[str, float]]:
    """Those of `muduo evaluate`; of nnU-Net's own file, the Dice's from its cases."""
    told = summary.get("muduo", {}).get("standard_deviation", {})
    if told:
        return {m: {organ: as_number(told.get(key, {}).get(m)) for organ, key in organs.items()} for m in means}
    dice = {organ: [case.dice[organ] for case in cases if np.isfinite(case.dice[organ])] for organ in organs}
    spread = {organ: float(np.std(v, ddof=1)) if len(v) > 1 else float("nan") for organ, v in dice.items()}
    return {"Dice": spread}


def _foreground(summary: Mapping[str, Any], means: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The file's own; where that is NaN because nnU-Net counts an organ that no case has, the mean of the others."""
    told = {m: as_number(summary.get("foreground_mean", {}).get(m)) for m in means}
    return {m: value if np.isfinite(value) else mean_of_finite(means[m].values()) for m, value in told.items()}
