"""What an evaluation found as files: rows, nnU-Net's summary.json, tables, differences."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.differences import Difference
from nnunetv2_muduo.evaluation.organ_metrics import STATUSES, OrganMetrics
from nnunetv2_muduo.evaluation.result_tables import results_table
from nnunetv2_muduo.evaluation.results import Evaluation
from nnunetv2_muduo.files import check_can_write, replacing, write_text
from nnunetv2_muduo.json_files import table_or_nothing

METHODS = "methods.json"
_LESION_METRICS = ("FPV_ml", "FNV_ml")


def check_place(folder: Path) -> None:
    """Raise UserError where `write_evaluation` cannot write, or would replace a summary.json that is nnU-Net's own."""
    file = folder / "summary.json"
    found = table_or_nothing(file)
    if found and "muduo" not in found:
        raise UserError(f"{file} is nnU-Net's own and would be lost; choose another folder with -o.")
    check_can_write(file)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write metrics.csv (a row for each organ of each case), summary.json and summary.md."""
    _write_rows(folder / "metrics.csv", evaluation)
    write_text(folder / "summary.json", json.dumps(summary(evaluation), indent=4, sort_keys=True) + "\n")
    write_text(folder / "summary.md", results_table(evaluation) + "\n")


def write_methods(out: Path, places: Mapping[str, Path]) -> None:
    """Write methods.json: which results below a folder are of the last call, by name; others are of earlier ones."""
    found = {method: str(place.relative_to(out)) for method, place in places.items()}
    write_text(out / METHODS, json.dumps({"methods": found}, indent=4) + "\n")


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """nnU-Net's summary.json with more metrics, and what is not in nnU-Net's under `muduo`.

    `foreground_mean` differs from nnU-Net's in one thing: organs that no case counts for are left out, where nnU-Net's
    mean is NaN. Single cases have infinite HD95 and ASD where an organ is missed or hallucinated.
    """
    task, keys = evaluation.task, evaluation.task.keys
    means = {metric: evaluation.means(metric) for metric in _metrics(evaluation)}
    spread = {metric: evaluation.deviations(metric) for metric in means}
    counts = {status: evaluation.counts(status) for status in STATUSES}
    return {
        "foreground_mean": {metric: evaluation.foreground_mean(metric) for metric in means},
        "mean": {keys[o]: _of_organ(means, k, lesion=o in task.lesions) for k, o in enumerate(task.organs)},
        "metric_per_case": [
            {
                "reference_file": str(case.reference),
                "prediction_file": str(case.prediction),
                "metrics": {keys[o]: _kept(found, lesion=o in task.lesions) for o, found in case.organs.items()},
            }
            for case in evaluation.cases
        ],
        "muduo": {
            "method": evaluation.method,
            "organs": keys,
            "lesions": sorted(task.lesions),
            "missed": evaluation.missed,
            "standard_deviation": {
                keys[o]: _of_organ(spread, k, lesion=o in task.lesions) for k, o in enumerate(task.organs)
            },
            "cases": {
                keys[o]: {status: int(count[k]) for status, count in counts.items()} for k, o in enumerate(task.organs)
            },
        },
    }


def write_differences(path: Path, differences: Sequence[Difference], *, seed: int) -> None:
    """Write all differences as JSON; the last of the organs is the mean over them."""
    rows = [
        {
            "method": d.method,
            "baseline": d.baseline,
            "metric": d.metric,
            "organ": organ,
            **{name: _number(getattr(d.interval, name)[k]) for name in ("mean", "low", "high")},
            "cases": int(d.interval.cases[k]),
            "higher": int(d.higher[k]),
            "lower": int(d.lower[k]),
        }
        for d in differences
        for k, organ in enumerate((*d.organs, "mean"))
    ]
    content = {"confidence": 0.95, "seed": seed, "differences": rows}
    write_text(path, json.dumps(content, indent=2) + "\n")


def _write_rows(path: Path, evaluation: Evaluation) -> None:
    metrics = _metrics(evaluation)
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "organ", "status", *metrics])
        for case in evaluation.cases:
            for organ, found in case.organs.items():
                values = (found.values[metric] for metric in metrics)
                writer.writerow([case.case, organ, found.status, *("" if np.isnan(v) else v for v in values)])


def _metrics(evaluation: Evaluation) -> list[str]:
    names = next(iter(evaluation.cases[0].organs.values())).values
    return [name for name in names if evaluation.task.lesions or name not in _LESION_METRICS]


def _kept(found: OrganMetrics, *, lesion: bool) -> dict[str, float]:
    return {name: value for name, value in found.values.items() if lesion or name not in _LESION_METRICS}


def _of_organ(arrays: Mapping[str, np.ndarray], k: int, *, lesion: bool) -> dict[str, float]:
    return {name: float(array[k]) for name, array in arrays.items() if lesion or name not in _LESION_METRICS}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
