"""Draws how a teacher learns: its loss, and Dice after some clicks on cases held out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

from nnunetv2_muduo.evaluation.figures import plain_style, save_figure


@plain_style
def draw_teacher_progress(
    path: Path,
    *,
    losses: Sequence[float],
    validation: Sequence[Mapping[str, Any]],
    title: str,
    best: int | None = None,
) -> None:
    """Loss of every step, smoothed, and mean Dice over the targets for each way of prompting.

    Args:
        path: PNG file, replaced as a whole.
        losses: one a step.
        validation: rows step, target, prompt, dice (as `teachers.validation.validate` gives them); may be empty.
        title: of the picture.
        best: step of the best validation, which is marked.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), constrained_layout=True)
    window = max(1, len(losses) // 100)
    parts = [losses[start : start + window] for start in range(0, len(losses) - window + 1, window)]
    left.plot([window * (i + 1) for i in range(len(parts))], [sum(part) / window for part in parts])
    left.set(xlabel="step", ylabel=f"loss, mean of {window} steps", title="Dice + cross-entropy", ylim=(0, None))
    for prompt in dict.fromkeys(row["prompt"] for row in validation):
        steps = sorted({row["step"] for row in validation if row["prompt"] == prompt})
        right.plot(steps, [_mean_dice(validation, prompt, step) for step in steps], marker=".", label=prompt)
    right.set(xlabel="step", ylabel="Dice, mean over targets", title="cases held out", ylim=(0, 1))
    if best is not None:
        right.axvline(best, color="0.5", linestyle=":", label=f"best mean: step {best}")
    if validation:
        right.legend(fontsize="small")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    save_figure(figure, path)


def _mean_dice(validation: Sequence[Mapping[str, Any]], prompt: str, step: int) -> float:
    values = [row["dice"] for row in validation if row["prompt"] == prompt and row["step"] == step]
    return sum(values) / len(values)
