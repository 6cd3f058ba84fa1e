"""The figure of `label_efficiency.py`, from the records of its runs."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from label_methods import ABLATIONS, FOUR_TIMES, METHODS, MUDUO, SUPERVISED
from label_report import (
    BASELINE,
    LONG_BASELINE,
    OURS,
    TINY,
    Record,
    differences,
    mean_dice,
    methods_in,
    most_common_budget,
    paired,
    select,
    title_of,
)
from matplotlib import pyplot

from nnunetv2_muduo.evaluation.figures import plain_style


@plain_style
def draw(records: Sequence[Record], path: Path) -> None:
    """At the budget that most methods were run with: each seed a dot, a method's mean a diamond with the standard
    deviation, in a panel for trainings of one length. To the left, where there are any, mean Dice against labelled
    cases, and the differences that other settings of MuDuo make."""
    shown, ablations = panels(records), ablations_in(records)
    budgets = sorted({record["budget"] for record in records})
    right_rows = [len(methods) for methods in shown.values()]
    left_rows = ([9] if len(budgets) > 1 else []) + ([len(ablations)] if ablations else [])
    rows = max(sum(right_rows) + 3 * len(right_rows), sum(left_rows) + 3 * len(left_rows), 12)
    figure = pyplot.figure(figsize=(14 if left_rows else 7, 1.0 + 0.28 * rows), layout="constrained")
    right = figure
    if left_rows:
        left, right = figure.subfigures(1, 2)
        axes = list(left.subplots(len(left_rows), 1, squeeze=False, height_ratios=[n + 2 for n in left_rows])[:, 0])
        if len(budgets) > 1:
            _draw_budgets(axes[0], records, budgets)
        if ablations:
            _draw_ablations(axes[-1], records, ablations)
    axes = right.subplots(len(shown), 1, squeeze=False, height_ratios=[number + 2 for number in right_rows])[:, 0]
    for axis, (title, methods) in zip(axes, shown.items(), strict=True):
        _draw_methods(axis, records, methods, title)
    axes[-1].set_xlabel("mean Dice (dots: seeds; diamonds: mean ± sd)")
    figure.suptitle("Simulated images on real anatomy")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def panels(records: Sequence[Record]) -> dict[str, list[str]]:
    """Title -> methods with a run at the most common budget, other settings of MuDuo left out, by length."""
    budget = most_common_budget(records)
    methods = [method for method in methods_in(records) if select(records, method, budget) and method not in ABLATIONS]
    long = [method for method in methods if METHODS[method].longer > 1]
    every = {
        f"{budget} labelled scans": [method for method in methods if method not in long],
        f"{budget} labelled scans{FOUR_TIMES}": long,
    }
    return {title: chosen for title, chosen in every.items() if chosen}


def ablations_in(records: Sequence[Record]) -> list[str]:
    """Other settings of MuDuo that were run at the most common budget with a seed that MuDuo was run with, too."""
    budget = most_common_budget(records)
    return [method for method in methods_in(records) if method in ABLATIONS and paired(records, method, OURS, budget)]


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
        _draw_seeds(axis, [mean_dice(run) for run in select(records, method, budget)], place, _colour(method))
    reference = LONG_BASELINE if METHODS[methods[0]].longer > 1 else BASELINE
    if runs := select(records, reference, budget):
        axis.axvline(mean(map(mean_dice, runs)), color="0.4", linestyle=":", linewidth=1)
    _name_rows(axis, [title_of(select(records, m, budget)[0]).removesuffix(FOUR_TIMES) for m in methods], title)


def _draw_ablations(axis: Any, records: Sequence[Record], methods: Sequence[str]) -> None:
    """Differences of equal seeds, with all organs (filled) and without the tiny one (hollow)."""
    budget = most_common_budget(records)
    for place, method in enumerate(methods):
        pairs = paired(records, method, OURS, budget)
        _draw_seeds(axis, differences(pairs), place - 0.15, _colour(method))
        without = differences(pairs, without=TINY)
        axis.scatter(without, [place + 0.2] * len(without), s=16, facecolors="none", edgecolors="k", zorder=3)
    axis.axvline(0, color="0.4", linestyle=":", linewidth=1)
    titles = [title_of(select(records, method, budget)[0]).removeprefix("MuDuo, ") for method in methods]
    _name_rows(axis, titles, f"{budget} labelled scans, MuDuo set otherwise")
    axis.set_xlabel(f"difference to MuDuo, same seeds (hollow: no {TINY})")


def _draw_seeds(axis: Any, values: Sequence[float], place: float, colour: str) -> None:
    """A dot each, a diamond their mean, a bar their standard deviation."""
    spread = stdev(values) if len(values) > 1 else 0.0
    axis.errorbar(mean(values), place, xerr=spread, fmt="D", color=colour, capsize=4)
    axis.scatter(values, [place] * len(values), color="k", s=12, zorder=3)


def _name_rows(axis: Any, names: Sequence[str], title: str) -> None:
    axis.set(yticks=range(len(names)), title=title)
    axis.set_yticklabels(names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(alpha=0.3, axis="x")


def _colour(method: str) -> str:
    """Grey the supervised trainings, orange MuDuo, blue all others."""
    return {SUPERVISED: "0.4", MUDUO: "C1"}.get(METHODS[method].trainer, "C0")
