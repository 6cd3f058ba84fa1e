"""How good a teacher is on cubes held out, and at which step of its training it was best."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn

from nnunetv2_muduo.teachers.crops import Crops
from nnunetv2_muduo.teachers.prompt_rounds import GIVEN_MASK, prompted_dice
from nnunetv2_muduo.teachers.protocol import PromptableTeacher


def validate(
    teacher: PromptableTeacher,
    validation: Sequence[Crops],
    *,
    bfloat16: bool = False,
    clicks: Sequence[int] = (1, 3, 5),
) -> list[dict[str, Any]]:
    """Mean Dice of each target under each way of prompting (`prompted_dice`), as rows target, prompt, dice, count."""
    cast(nn.Module, teacher).eval()
    scores: dict[tuple[str, str], list[float]] = {}
    for index, crops in enumerate(validation):
        with torch.autocast(crops.images.device.type, torch.bfloat16, enabled=bfloat16):
            for prompt, values in prompted_dice(teacher, crops, seed=index, clicks=clicks).items():
                for names, row in zip(crops.names, values.tolist(), strict=True):
                    for name, value in zip(names, row, strict=True):
                        scores.setdefault((name, prompt), []).append(value)
    return [
        {"target": target, "prompt": prompt, "dice": round(sum(values) / len(values), 4), "count": len(values)}
        for (target, prompt), values in sorted(scores.items())
    ]


def mean_over_targets(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean Dice of each way of prompting, each target counting once whatever its number of cubes."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        scores.setdefault(row["prompt"], []).append(row["dice"])
    return {prompt: sum(values) / len(values) for prompt, values in scores.items()}


def mean_by_step(rows: Sequence[Mapping[str, Any]]) -> dict[int, float]:
    """Mean Dice of each validation over targets, then over the ways of prompting.

    Args:
        rows: of `validate`, each with the `step` it was made at; those of the given mask do not count.
    """
    answers = [row for row in rows if row["prompt"] != GIVEN_MASK]
    means: dict[int, float] = {}
    for step in sorted({row["step"] for row in answers}):
        values = mean_over_targets([row for row in answers if row["step"] == step]).values()
        means[step] = sum(values) / len(values)
    return means


def best_step(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The step with the highest `mean_by_step`, the last of equals; None where nothing was validated."""
    means = mean_by_step(rows)
    return max(means, key=lambda step: (means[step], step)) if means else None
