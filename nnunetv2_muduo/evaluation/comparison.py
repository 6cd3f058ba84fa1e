"""Two or more predictions of the same test cases side by side: Dice per organ as a table and a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunetv2_muduo.evaluation.folders import evaluate_folders
from nnunetv2_muduo.evaluation.markdown import markdown_table
from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.evaluation.task import Task


@dataclass(frozen=True)
class Comparison:
    """Dice of several methods on the same cases.

    Attributes:
        organs: names of the K organs.
        cases: names of the N cases.
        dice: method -> [N, K] Dice in [0, 1]; NaN where the organ is neither in the reference nor predicted.
    """

    organs: tuple[str, ...]
    cases: tuple[str, ...]
    dice: dict[str, np.ndarray]

    def mean_per_organ(self, method: str) -> np.ndarray:
        """[K] mean over the cases."""
        return mean_of(self.dice[method], axis=0)

    def as_table(self) -> str:
        """Markdown: an organ a row, a method a column, the mean over cases; the last method against the first."""
        columns = [(*means, mean_of(means)) for means in map(self.mean_per_organ, self.dice)]
        rows = [
            [organ, *(f"{value:.3f}" for value in values), f"{values[-1] - values[0]:+.3f}"]
            for organ, *values in zip((*self.organs, "**mean**"), *columns, strict=True)
        ]
        return markdown_table(["Dice", *self.dice, "difference"], rows)


def compare_predictions(
    reference_folder: Path, prediction_folders: Mapping[str, Path], *, labels: Mapping[str, int], file_ending: str
) -> Comparison:
    """Dice of every method on every case of the reference folder.

    Args:
        reference_folder: label maps {case}{file_ending}.
        prediction_folders: method -> folder with the same file names.
        labels: organ -> integer label (no background).
        file_ending: with the dot, as in dataset.json.

    Raises:
        UserError: as `evaluate_folders`.
    """
    task = Task(
        {organ: (label,) for organ, label in labels.items()},
        known_labels=frozenset({0, *labels.values()}),
        file_ending=file_ending,
    )
    found = evaluate_folders(reference_folder, prediction_folders, task=task)
    cases = next(iter(found.values())).cases
    dice = {method: evaluation.values("Dice") for method, evaluation in found.items()}
    return Comparison(tuple(labels), tuple(case.case for case in cases), dice)


def method_colours(methods: Sequence[str]) -> dict[str, str]:
    """A colour each, the first one grey: it is what the others are compared with."""
    palette = ("0.6", "tab:red", "tab:blue", "tab:green", "tab:purple", "tab:orange")
    return {method: palette[i % len(palette)] for i, method in enumerate(methods)}
