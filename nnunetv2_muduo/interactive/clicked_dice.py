"""A simulated user corrects one mask, click by click."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import torch
from torch import Tensor

from nnunetv2_muduo.datasets.boxes import box_around, box_within, joint_box
from nnunetv2_muduo.evaluation.overlap import dice_score
from nnunetv2_muduo.teachers.clicks import first_click, next_click
from nnunetv2_muduo.teachers.mosaic import Window


class ClickSession(Protocol):
    """What is clicked on: `PromptSession` or `OneWindowSession`."""

    logits: dict[Window, Tensor]

    def click(self, coords: Tensor, labels: Tensor) -> None:
        """Add points [N, 3] (z, y, x), the first voxel's centre at 0.5, with labels [N]: 1 inside, 0 outside."""
        ...

    def result(self) -> tuple[Tensor, tuple[slice, slice, slice]]:
        """Logits [z, y, x] of a part of the scan, and which part; everywhere else is background."""
        ...


@dataclass(frozen=True)
class ClickedDice:
    """How good the mask is after so many clicks.

    Attributes:
        clicks: so many.
        dice: in [0, 1].
        windows: of the teacher that were asked so far.
        seconds: that the teacher took for all clicks so far, its encoder and the way to the scan's grid included.
    """

    clicks: int
    dice: float
    windows: int
    seconds: float


def clicked_dice(
    begin: Callable[[Tensor], ClickSession],
    truth: Tensor,
    *,
    clicks: Collection[int],
    generator: torch.Generator,
    counted: Tensor | None = None,
) -> list[ClickedDice]:
    """Click until the largest of `clicks` (METHODS.md, section 2).

    The first click is a random voxel of the target, every later one a random voxel of the union of false negatives
    and false positives. A user with nothing left to correct stops: later numbers of clicks keep that mask.

    Args:
        begin: the position [3] of the first click, as `ClickSession.click` takes it -> a session without any prompts.
        truth: bool [Z, Y, X] of the scan.
        clicks: after how many clicks to compare.
        generator: of the clicks.
        counted: bool [Z, Y, X], voxels that are clicked on and compared; None: all.

    Returns:
        One result for each number of clicks, ascending.

    Raises:
        ValueError: if there is no voxel of the target that counts.
    """
    truth = truth if counted is None else truth & counted
    box = box_around(truth.numpy())  # whole scans are large, and all but a box of them is right anyway
    if box is None:
        raise ValueError("there is no voxel of the target to click on")
    wrong_in = box
    inside, mask = truth[box], torch.zeros_like(truth[box])
    coords, labels = first_click(inside[None], generator=generator)
    session, seconds, results = begin(_positions(coords, wrong_in)[0]), 0.0, []
    for number in range(1, max(clicks) + 1):
        if number > 1:
            coords, labels = next_click(inside[None], mask[None], generator=generator)
        if labels[0] >= 0:
            started = perf_counter()
            session.click(_positions(coords, wrong_in), labels)
            logits, part = session.result()
            seconds += perf_counter() - started
            wrong_in = joint_box([box, part])
            inside, mask = truth[wrong_in], torch.zeros_like(truth[wrong_in])
            mask[box_within(wrong_in, part)] = logits > 0
            mask &= True if counted is None else counted[wrong_in]
        if number in clicks:
            dice = dice_score(mask.numpy(), inside.numpy())
            results.append(ClickedDice(number, dice, len(session.logits), seconds))
    return results


def _positions(coords: Tensor, box: Sequence[slice]) -> Tensor:
    """Voxels [N, 3] of a box -> their centres in the scan, where the first voxel's lies at 0.5."""
    return coords + torch.tensor([along.start for along in box]) + 0.5


def clicks_generator(seed: int, case: str, organ: str) -> torch.Generator:
    """Randomness of one organ of one case: the same whatever else is measured, and in which order."""
    digest = hashlib.sha256(f"{seed}\n{case}\n{organ}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
