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

Position = tuple[float, float, float, bool]  # voxel (z, y, x) of the turned scan, and whether in the foreground


@dataclass(frozen=True)
class Job:
    """A target in the coordinates of the turned scan.

    Attributes:
        name: of the target.
        label: its value in the label map, 1 to 255.
        centre: middle of its prompts (z, y, x), measured from the near edge of the first voxel.
        prompt: gives a session these prompts; raises UserError where the teacher sees nothing there.
        points: of the target, as the user gave them.
    """

    name: str
    label: int
    centre: tuple[float, float, float]
    prompt: Callable[[PromptSession], None]
    points: tuple[Point, ...] = ()


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


def jobs_from_masks(masks: NDArray, image: sitk.Image, turn: Turn, targets: Sequence[Target] = ()) -> list[Job]:
    """A job for each label of a rough label map, with the points of the target that means it.

    A target's points go with the label that it is called like, such as "3"; where there is one label and one target,
    they belong together whatever the target is called, and the label gets its name. The teacher is shown the mask first
    and the points, all of them, with its answer to that.

    Args:
        masks: [Z, Y, X] on the turned grid.
        image: the scan, on whose grid points in voxels are.
        turn: from the scan to the turned grid.
        targets: with their points, which may all be in the background here.

    Raises:
        UserError: for an empty map, one that holds anything but whole labels from 0 to 255, a target that means none of
            them or the same as another, or a point outside the scan.
    """
    values = [value for value in np.unique(masks).tolist() if value != 0]
    wrong = [value for value in values if not (value == int(value) and 0 < value < 256)]
    if wrong or not values:
        found = "it is empty" if not values else f"it holds {wrong[0]:g}"
        raise UserError(f"The mask needs whole labels from 1 to 255, but {found}; give a label map.")
    labels = [int(value) for value in values]
    meant = _targets_of(labels, targets)
    return [
        _mask_job(masks, label, meant.get(label), positions_of(image, turn, meant[label]) if label in meant else [])
        for label in labels
    ]


def _targets_of(labels: Sequence[int], targets: Sequence[Target]) -> dict[int, Target]:
    """Label of a rough mask -> the target that means it."""
    if len(labels) == len(targets) == 1:
        return {labels[0]: targets[0]}
    meant: dict[int, Target] = {}
    for target in targets:
        label = int(target.name) if target.name.isdecimal() else -1
        if label not in labels or label in meant:
            raise UserError(
                f"Target '{target.name}' does not say which label of the mask its points belong to; call each target "
                f"like another of its labels ({', '.join(map(str, labels))}), for example --target {labels[0]}."
            )
        meant[label] = target
    return meant


def positions_of(image: sitk.Image, turn: Turn, target: Target) -> list[Position]:
    """The points of a target as voxels (z, y, x) of the turned scan, and whether each is in the foreground.

    Raises:
        UserError: for a point outside the scan.
    """
    shape = tuple(reversed(image.GetSize()))
    indices = [_index(image, point, target.name) for point in target.points]
    return [
        (*turn.position(index, shape), point.foreground) for index, point in zip(indices, target.points, strict=True)
    ]


def _points_job(target: Target, points: Sequence[Position], label: int) -> Job:
    if not any(point.foreground for point in target.points):
        raise UserError(f"Target '{target.name}' has no point in the foreground; give one inside of it.")
    coords, kinds = _as_tensors(points)

    def prompt(session: PromptSession) -> None:
        session.click(coords, kinds)
        _refuse_empty(session, target.name)

    return Job(target.name, label, _middle(coords[kinds == 1]), prompt, tuple(target.points))


def _mask_job(masks: NDArray, label: int, target: Target | None, points: Sequence[Position]) -> Job:
    where = np.argwhere(masks == label)
    corners = torch.from_numpy(np.stack([where.min(0), where.max(0) + 1])).float()
    coords, kinds = _as_tensors(points)
    name = f"label {label}" if target is None else target.name

    def prompt(session: PromptSession) -> None:
        session.rough_mask(torch.from_numpy((masks == label).astype(np.uint8)))
        if len(kinds):  # after its answer to the mask: Dice 0.92 (CT) and 0.87 (PET), with both at once 0.90 and 0.84
            session.click(coords, kinds)
        _refuse_empty(session, name)

    centre = _middle(torch.cat([corners, coords[kinds == 1]]))
    return Job(name, label, centre, prompt, () if target is None else tuple(target.points))


def _as_tensors(points: Sequence[Position]) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions [N, 3] from the near edge of the first voxel, not its centre, and [N] 1 foreground, 0 background."""
    coords = torch.tensor([point[:3] for point in points]).reshape(-1, 3) + 0.5
    return coords, torch.tensor([int(foreground) for *_, foreground in points], dtype=torch.int64)


def _middle(positions: torch.Tensor) -> tuple[float, float, float]:
    """The middle of the box around positions [N, 3]."""
    z, y, x = ((positions.amin(0) + positions.amax(0)) / 2).tolist()
    return z, y, x


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
