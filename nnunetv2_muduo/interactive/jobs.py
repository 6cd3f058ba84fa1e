"""Prompts of a user, checked and brought to the scan as the teacher sees it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.interactive.prompts import Point, Target
from nnunetv2_muduo.interactive.session import PromptSession


@dataclass(frozen=True)
class Job:
    """A target in the coordinates of the turned scan.

    Attributes:
        name: of the target.
        label: its value in the label map, 1 to 255.
        centre: middle of its prompts (z, y, x), measured from the near edge of the first voxel.
        prompt: gives a session these prompts; raises UserError where the teacher sees nothing there.
    """

    name: str
    label: int
    centre: tuple[float, float, float]
    prompt: Callable[[PromptSession], None]


def jobs_from_points(image: sitk.Image, turn: Turn, targets: Sequence[Target]) -> list[Job]:
    """A job for each target, labelled 1, 2, ...

    Raises:
        UserError: for a target without a foreground point, a point outside the scan, or more than 255 targets.
    """
    if len(targets) > 255:
        raise UserError(f"There are {len(targets)} targets, but a label map holds 255; segment them in several calls.")
    return [
        _points_job(target, positions_of(image, turn, target), label) for label, target in enumerate(targets, start=1)
    ]


def jobs_from_masks(masks: NDArray) -> list[Job]:
    """A job for each label of a rough label map [Z, Y, X] on the turned grid.

    Raises:
        UserError: for an empty map, or one that holds anything but whole labels from 0 to 255.
    """
    values = [value for value in np.unique(masks).tolist() if value != 0]
    wrong = [value for value in values if not (value == int(value) and 0 < value < 256)]
    if wrong or not values:
        found = "it is empty" if not values else f"it holds {wrong[0]:g}"
        raise UserError(f"The mask needs whole labels from 1 to 255, but {found}; give a label map.")
    return [_mask_job(masks, int(value)) for value in values]


def positions_of(image: sitk.Image, turn: Turn, target: Target) -> list[tuple[float, float, float, bool]]:
    """The points of a target as voxels (z, y, x) of the turned scan, and whether each is in the foreground.

    Raises:
        UserError: for a point outside the scan.
    """
    shape = tuple(reversed(image.GetSize()))
    indices = [_index(image, point, target.name) for point in target.points]
    return [
        (*turn.position(index, shape), point.foreground) for index, point in zip(indices, target.points, strict=True)
    ]


def _points_job(target: Target, points: Sequence[tuple[float, float, float, bool]], label: int) -> Job:
    if not any(point.foreground for point in target.points):
        raise UserError(f"Target '{target.name}' has no point in the foreground; give one inside of it.")
    coords = torch.tensor([point[:3] for point in points]) + 0.5  # from centres to edges
    kinds = torch.tensor([int(foreground) for *_, foreground in points])
    inside = coords[kinds == 1]
    z, y, x = ((inside.amin(0) + inside.amax(0)) / 2).tolist()

    def prompt(session: PromptSession) -> None:
        session.click(coords, kinds)
        _refuse_empty(session, target.name)

    return Job(target.name, label, (z, y, x), prompt)


def _mask_job(masks: NDArray, label: int) -> Job:
    where = np.argwhere(masks == label)
    z, y, x = ((where.min(0) + where.max(0) + 1) / 2).tolist()

    def prompt(session: PromptSession) -> None:
        session.rough_mask(torch.from_numpy((masks == label).astype(np.uint8)))
        _refuse_empty(session, f"label {label}")

    return Job(f"label {label}", label, (z, y, x), prompt)


def _refuse_empty(session: PromptSession, name: str) -> None:
    """A window without any intensity above 0 cannot be normalised; the teacher sees a constant."""
    if not session.scan.image(next(iter(session.logits))).any():
        raise UserError(
            f"Around the prompts of '{name}' the scan holds no varying intensity above 0, so the teacher sees nothing; "
            "check that the prompts belong to this scan and that it holds HU or SUV."
        )


def _index(image: sitk.Image, point: Point, name: str) -> tuple[float, float, float]:
    """Continuous voxel index of a point, checked to lie within the scan."""
    x, y, z = point.position
    if point.space == "voxel":
        index = (x, y, z)
    else:
        flip = -1.0 if point.space == "ras" else 1.0
        index = image.TransformPhysicalPointToContinuousIndex((flip * x, flip * y, z))
    size = image.GetSize()
    if not all(-0.5 <= at <= length - 0.5 for at, length in zip(index, size, strict=True)):
        unit = "voxel" if point.space == "voxel" else f"mm, {point.space.upper()}"
        raise UserError(
            f"The point ({x:g}, {y:g}, {z:g}) ({unit}) of '{name}' lies outside the scan: as voxels it is "
            f"({', '.join(f'{at:.1f}' for at in index)}), and the scan has {' x '.join(map(str, size))}; "
            "--space says whether points are voxel, ras or lps."
        )
    return index[0], index[1], index[2]
