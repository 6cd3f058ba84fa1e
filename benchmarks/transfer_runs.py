"""What the transfer benchmark runs, and its runs as table and figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from matplotlib import pyplot

from nnunetv2_muduo.evaluation.figures import plain_style

TARGETS = {"organs": "Dataset601_Organs", "lesions": "Dataset602_Lesions"}
STARTS: dict[str, list[int] | None] = {"CT and PET": None, "CT alone": [0], "PET alone": [1]}  # channels pretrained on
SCRATCH = "scratch"
KINDS = {"linear probe": "nnUNetTrainerLinearProbe", "fine-tuning": "nnUNetTrainerMuDuoSupervised"}


@dataclass(frozen=True)
class Run:
    """One training that is tested: how, from where, on how many labelled scans of what, with which seed."""

    kind: str
    start: str
    target: str
    budget: int
    seed: int

    @property
    def name(self) -> str:
        return "_".join([self.kind, self.start, self.target, str(self.budget), str(self.seed)]).replace(" ", "-")


def mean_dice(scores: Mapping[str, list]) -> float:
    """Mean over labels of the mean over the cases that have them."""
    return float(np.mean([np.nanmean(values) for values in scores.values()]))


def table_rows(results: Mapping[Run, Mapping[str, list]]) -> list[list[str]]:
    """A line for each kind, target and budget: mean and standard deviation over seeds of each start."""
    rows = []
    for kind in KINDS:
        for target in TARGETS:
            for budget in sorted({run.budget for run in results}):
                cells = [kind, target, str(budget)]
                for start in (SCRATCH, *STARTS):
                    values = [
                        mean_dice(scores)
                        for run, scores in results.items()
                        if (run.kind, run.start, run.target, run.budget) == (kind, start, target, budget)
                    ]
                    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
                    cells.append(f"{mean(values):.3f}{spread} ({len(values)})" if values else "")
                if any(cells[3:]):
                    rows.append(cells)
    return rows


@plain_style
def draw(results: Mapping[Run, Mapping[str, list]], path: Path) -> None:
    """Mean Dice of each seed against the number of labelled cases, one panel for each kind and target."""
    kinds = [kind for kind in KINDS if any(run.kind == kind for run in results)]
    size = (5 * len(kinds), 7)
    figure, axes = pyplot.subplots(
        len(TARGETS), len(kinds), figsize=size, layout="constrained", sharey="row", squeeze=False
    )
    starts = [start for start in (SCRATCH, *STARTS) if any(run.start == start for run in results)]
    beside = {start: 0.12 * (number - (len(starts) - 1) / 2) for number, start in enumerate(starts)}
    budgets = sorted({run.budget for run in results})
    for row, target in zip(axes, TARGETS, strict=True):
        for axis, kind in zip(row, kinds, strict=True):
            for number, start in enumerate(starts):
                runs = [run for run in results if (run.kind, run.target, run.start) == (kind, target, start)]
                places = [run.budget + beside[start] for run in runs]
                values = [mean_dice(results[run]) for run in runs]
                axis.scatter(places, values, color=f"C{number}", s=18, label=start)
                for budget in sorted({run.budget for run in runs}):
                    level = mean(mean_dice(results[run]) for run in runs if run.budget == budget)
                    place = budget + beside[start]
                    axis.plot([place - 0.06, place + 0.06], [level, level], color=f"C{number}", lw=2)
            axis.set(title=f"{target}, {kind}", xticks=budgets, xlim=(budgets[0] - 0.5, budgets[-1] + 0.5))
            axis.grid(alpha=0.3, axis="y")
        row[0].set_ylabel("Dice on 12 unseen scans")
    for axis in axes[-1]:
        axis.set_xlabel("labelled scans")
    axes[0][0].legend(title="start")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
