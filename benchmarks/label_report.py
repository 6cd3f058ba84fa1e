"""The tables and the figure of `label_efficiency.py`, from the records of its runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from label_methods import ABLATIONS, FOUR_TIMES, METHODS, MUDUO, SUPERVISED
from matplotlib import pyplot

from nnunetv2_muduo.evaluation.bootstrap import bootstrap_means
from nnunetv2_muduo.evaluation.figures import plain_style

Record = Mapping[str, Any]
BASELINE, LONG_BASELINE = "supervised", "supervised-long"
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
    theirs = {run["seed"]: run for run in select(records, baseline_of(method), budget)}
    pairs = [(run, theirs[run["seed"]]) for run in select(records, method, budget) if run["seed"] in theirs]
    if method == BASELINE or not pairs:
        return ""
    by_case = np.mean([dice_of(ours) - dice_of(baseline) for ours, baseline in pairs], axis=0)
    interval = bootstrap_means(by_case, seed=0)
    seeds = ", ".join(f"{mean_dice(ours) - mean_dice(baseline):+.3f}" for ours, baseline in pairs)
    return f"{interval.mean[-1]:+.3f} ({interval.low[-1]:+.3f} to {interval.high[-1]:+.3f}); seeds {seeds}"


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


@plain_style
def draw(records: Sequence[Record], path: Path) -> None:
    """At the budget that most methods were run with: each seed a dot, a method's mean a diamond with the standard
    deviation, in a panel for trainings of one length; where there are several budgets, to the left mean Dice against
    labelled cases."""
    shown = panels(records)
    budgets = sorted({record["budget"] for record in records})
    rows = [len(methods) for methods in shown.values()]
    height = 1.2 + 0.7 * len(shown) + 0.3 * max(sum(rows), 9)
    if len(budgets) == 1:  # nothing to draw on the left
        figure = pyplot.figure(figsize=(7, height), layout="constrained")
        right = figure
    else:
        figure = pyplot.figure(figsize=(12, height), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1, 1.4))
        _draw_budgets(left.subplots(), records, budgets)
    axes = right.subplots(len(shown), 1, squeeze=False, height_ratios=[number + 1 for number in rows])[:, 0]
    for axis, (title, methods) in zip(axes, shown.items(), strict=True):
        _draw_methods(axis, records, methods, title)
    axes[-1].set_xlabel("mean Dice (dots: seeds; diamonds: mean ± sd)")
    figure.suptitle("Simulated images on real anatomy")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def panels(records: Sequence[Record]) -> dict[str, list[str]]:
    """Title -> methods with a run at the most common budget: by length, then MuDuo beside its ablations."""
    budget = most_common_budget(records)
    methods = [method for method in methods_in(records) if select(records, method, budget)]
    ours = [method for method in methods if method == "muduo"]
    long = [method for method in methods if METHODS[method].longer > 1]
    ablations = [method for method in methods if method in ABLATIONS]
    every = {
        f"{budget} labelled scans": [method for method in methods if method not in [*long, *ablations]],
        f"{budget} labelled scans{FOUR_TIMES}": long,
        f"{budget} labelled scans, MuDuo set otherwise": ablations and [*ours, *ablations],
    }
    return {title: chosen for title, chosen in every.items() if chosen}


def _draw_budgets(axis: Any, records: Sequence[Record], budgets: Sequence[int]) -> None:
    for method in methods_in(records):
        runs = {budget: [mean_dice(run) for run in select(records, method, budget)] for budget in budgets}
        there = [budget for budget in budgets if runs[budget]]
        if len(there) > 1:
            spread = [stdev(runs[budget]) if len(runs[budget]) > 1 else 0.0 for budget in there]
            title = title_of(select(records, method, there[0])[0])
            style = {"marker": "o", "capsize": 4, "color": _colour(method), "label": title}
            axis.errorbar(there, [mean(runs[b]) for b in there], spread, **style)
    axis.set(xlabel="labelled scans", ylabel="mean Dice of ten organs, 12 test scans", xticks=budgets)
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="lower right")


def _draw_methods(axis: Any, records: Sequence[Record], methods: Sequence[str], title: str) -> None:
    """The dotted line is the supervised training of as many steps."""
    budget = most_common_budget(records)
    for place, method in enumerate(methods):
        values = [mean_dice(run) for run in select(records, method, budget)]
        spread = stdev(values) if len(values) > 1 else 0.0
        axis.errorbar(mean(values), place, xerr=spread, fmt="D", color=_colour(method), capsize=4)
        axis.scatter(values, [place] * len(values), color="k", s=12, zorder=3)
    reference = LONG_BASELINE if METHODS[methods[0]].longer > 1 else BASELINE
    if runs := select(records, reference, budget):
        axis.axvline(mean(map(mean_dice, runs)), color="0.4", linestyle=":", linewidth=1)
    axis.set(yticks=range(len(methods)), title=title)
    axis.set_yticklabels([title_of(select(records, m, budget)[0]).removesuffix(FOUR_TIMES) for m in methods])
    axis.set_ylim(len(methods) - 0.5, -0.5)
    axis.grid(alpha=0.3, axis="x")


def _colour(method: str) -> str:
    """Grey the supervised trainings, orange MuDuo, blue all others."""
    return {SUPERVISED: "0.4", MUDUO: "C1"}.get(METHODS[method].trainer, "C0")
