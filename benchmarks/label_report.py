"""The tables of `label_efficiency.py`, from the records of its runs."""

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

import numpy as np
from label_methods import ABLATIONS, METHODS

from nnunetv2_muduo.evaluation.bootstrap import bootstrap_means

Record = Mapping[str, Any]
BASELINE, LONG_BASELINE, OURS = "supervised", "supervised-long", "muduo"
TINY = "prostate"  # some ten voxels, which a training finds in most cases or in none


def dice_of(record: Record) -> np.ndarray:
    """[cases, organs] Dice; NaN where the case does not have the organ."""
    return np.array([[np.nan if v is None else v for v in values] for values in record["dice"].values()], float).T


def mean_dice(record: Record, *, without: str | None = None) -> float:
    """Mean over the organs, but one that may be left out, of the mean over the cases that have them."""
    counted = [organ != without for organ in record["dice"]]
    return float(np.nanmean(np.nanmean(dice_of(record)[:, counted], axis=0)))


def false_positives(record: Record) -> float:
    """Mean over the cases of the ml taken for organs that the case does not have."""
    values = np.array([[v or 0.0 for v in values] for values in record["false_positive_ml"].values()])
    return float(values.sum(axis=0).mean())


def table_rows(records: Sequence[Record]) -> list[list[str]]:
    """A line for each budget and method, in the methods' own order."""
    rows = []
    for budget in sorted({record["budget"] for record in records}):
        for method in methods_in(records):
            runs = select(records, method, budget)
            if runs:
                cells = [title_of(runs[0]), str(budget), str(len(runs)), _over_seeds(runs), _over_seeds(runs, TINY)]
                rows.append([*cells, difference(records, method, budget), f"{mean(map(false_positives, runs)):.0f}"])
    return rows


def organ_rows(records: Sequence[Record], budget: int) -> list[list[str]]:
    """A line for each method: title, seeds, and each organ's mean Dice over the seeds, in the order of the records."""
    rows = []
    for method in methods_in(records):
        if runs := select(records, method, budget):
            organs = np.mean([np.nanmean(dice_of(run), axis=0) for run in runs], axis=0)
            rows.append([title_of(runs[0]), str(len(runs)), *(f"{value:.3f}" for value in organs)])
    return rows


def ablation_rows(records: Sequence[Record], budget: int) -> list[list[str]]:
    """A line for each way of setting MuDuo otherwise, with its differences to MuDuo as it is, seed by seed."""
    rows = []
    for method in methods_in(records):
        if method in ABLATIONS and (pairs := paired(records, method, OURS, budget)):
            cells = [title_of(pairs[0][0]), ", ".join(str(run["seed"]) for run, _ in pairs)]
            for without in (None, TINY):
                gains = differences(pairs, without=without)
                cells += [f"{mean(gains):+.3f}", ", ".join(f"{gain:+.3f}" for gain in gains)]
            rows.append(cells)
    return rows


def most_common_budget(records: Sequence[Record]) -> int:
    """Labelled cases that most methods were run with."""
    return max(
        sorted({record["budget"] for record in records}),
        key=lambda budget: sum(bool(select(records, method, budget)) for method in methods_in(records)),
    )


def _over_seeds(runs: Sequence[Record], without: str | None = None) -> str:
    values = [mean_dice(run, without=without) for run in runs]
    return f"{mean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def baseline_of(method: str) -> str:
    """What a method is compared with: the supervised training of as many steps, and that with the shorter one."""
    longer = method in METHODS and METHODS[method].longer > 1
    return LONG_BASELINE if longer and method != LONG_BASELINE else BASELINE


def difference(records: Sequence[Record], method: str, budget: int) -> str:
    """Mean difference to supervised, its interval over the test cases (seeds averaged), and of each seed."""
    pairs = paired(records, method, baseline_of(method), budget)
    if method == BASELINE or not pairs:
        return ""
    by_case = np.mean([dice_of(ours) - dice_of(baseline) for ours, baseline in pairs], axis=0)
    interval = bootstrap_means(by_case, seed=0)
    seeds = ", ".join(f"{gain:+.3f}" for gain in differences(pairs))
    return f"{interval.mean[-1]:+.3f} ({interval.low[-1]:+.3f} to {interval.high[-1]:+.3f}); seeds {seeds}"


def paired(records: Sequence[Record], method: str, baseline: str, budget: int) -> list[tuple[Record, Record]]:
    """Runs of a method, each with the baseline's of the same seed; those without one are left out."""
    theirs = {run["seed"]: run for run in select(records, baseline, budget)}
    return [(run, theirs[run["seed"]]) for run in select(records, method, budget) if run["seed"] in theirs]


def differences(pairs: Sequence[tuple[Record, Record]], *, without: str | None = None) -> list[float]:
    """Of mean Dice, method minus baseline, pair by pair."""
    return [mean_dice(ours, without=without) - mean_dice(baseline, without=without) for ours, baseline in pairs]


def methods_in(records: Sequence[Record]) -> list[str]:
    """Methods with a run, in the order of `METHODS`."""
    there = {record["method"] for record in records}
    return [method for method in METHODS if method in there]


def title_of(record: Record) -> str:
    """Of a run's method, which another benchmark that carried it out may call something else."""
    return METHODS[record["method"]].title if record["method"] in METHODS else record["title"]


def select(records: Sequence[Record], method: str, budget: int) -> list[Record]:
    """Runs of a method and budget, by seed."""
    chosen = [record for record in records if (record["method"], record["budget"]) == (method, budget)]
    return sorted(chosen, key=lambda record: record["seed"])
