"""Segment one scan from points or rough masks with one promptable teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from nnunetv2_muduo.datasets.scan_io import check_same_grid, image_like
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.interactive.jobs import Job, jobs_from_masks, jobs_from_points
from nnunetv2_muduo.interactive.prompts import Point, Target
from nnunetv2_muduo.interactive.session import PromptSession
from nnunetv2_muduo.teachers import PromptableTeacher
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.precision import is_gpu_with_bfloat16
from nnunetv2_muduo.teachers.windows import ScanWindows


@dataclass(frozen=True)
class SegmentedTarget:
    """What became of one target.

    Attributes:
        name: of the target.
        label: its value in the label map.
        voxels: of its mask in the label map.
        volume_in_ml: of these voxels.
        windows: how many windows were asked.
        stopped: the mask would have gone on, but the limit of windows was reached.
        points: it was pointed at with.
    """

    name: str
    label: int
    voxels: int
    volume_in_ml: float
    windows: int
    stopped: bool
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Segmentation:
    """The label map, uint8 on exactly the scan's grid, and a line for each target.

    Attributes:
        labels: where targets overlap, the one the teacher is surer of.
        targets: in the order of the labels.
        encoded: encoder passes that all targets together needed.
    """

    labels: sitk.Image
    targets: tuple[SegmentedTarget, ...]
    encoded: int


def segment_scan(
    image: sitk.Image,
    teacher: PromptableTeacher,
    *,
    modality: str,
    targets: Sequence[Target] = (),
    rough_masks: sitk.Image | None = None,
    follow: bool = True,
    most_windows: int = 64,
    device: torch.device | None = None,
) -> Segmentation:
    """Segment targets of a scan, in any orientation and spacing.

    The published protocol (METHODS: a cube at the teacher's spacing centred on the prompts, z-normalised, zero mask
    first); a target that reaches the edge of its cube is followed into further, overlapping cubes until its mask stops
    growing. Targets share encoder passes.

    Args:
        image: CT in HU or PET in SUV.
        teacher: frozen, in eval mode.
        modality: "CT" or "PET": CT is clamped to -1000 to 1000 HU.
        targets: what to segment from points; they get the labels 1, 2, ...
        rough_masks: a label map on the scan's grid, where each label is a target; `targets`, if there are any beside
            it, add points to the labels that they are called like (see `jobs_from_masks`).
        follow: follow masks beyond the first cube.
        most_windows: of one target.
        device: where the teacher computes; it is moved there. None: the CPU.

    Raises:
        UserError: for neither points nor masks, a point outside the scan, a target with neither a mask nor a foreground
            point, points that belong to no label, masks on another grid, or prompts around which nothing can be seen.
    """
    turn = Turn.of(image.GetDirection(), teacher.spec.orientation)
    jobs = _jobs(image, turn, targets, rough_masks)
    windows = _windows(image, turn, teacher, centre=jobs[0].centre, modality=modality, device=device)
    labels = LabelMap(tuple(windows.volume.shape), several=len(jobs) > 1)
    asked = {}
    with tqdm(total=len(jobs), desc="targets", unit="target") as bar:
        for job in jobs:
            tell = partial(_tell, bar, job.name)
            session = PromptSession(windows, follow=follow, most_windows=most_windows, on_window=tell)
            job.prompt(session)
            logits, part = session.result()
            labels.add(logits, part, label=job.label)
            asked[job] = (len(session.logits), session.stopped)
            bar.update()
    voxel_in_ml = float(np.prod(image.GetSpacing())) / 1000
    lines = tuple(_line(job, labels.values, voxel_in_ml, *counts) for job, counts in asked.items())
    return Segmentation(image_like(turn.back(labels.values), image), lines, windows.encoded)


def _jobs(image: sitk.Image, turn: Turn, targets: Sequence[Target], rough_masks: sitk.Image | None) -> list[Job]:
    if not targets and rough_masks is None:
        raise UserError("There is nothing to segment; give points, a rough mask, or both.")
    if rough_masks is None:
        return jobs_from_points(image, turn, targets)
    check_same_grid(rough_masks, image, names=("The mask", "the scan"))
    return jobs_from_masks(turn.there(sitk.GetArrayFromImage(rough_masks)), image, turn, targets)


def _windows(
    image: sitk.Image,
    turn: Turn,
    teacher: PromptableTeacher,
    *,
    centre: Sequence[float],
    modality: str,
    device: torch.device | None,
) -> ScanWindows:
    """The teacher, moved to the device, looks at the whole scan in windows around a centre."""
    device = device or torch.device("cpu")
    return ScanWindows(
        teacher.to(device) if isinstance(teacher, torch.nn.Module) else teacher,
        torch.from_numpy(_for_torch(turn.there(sitk.GetArrayFromImage(image)))),
        turn.spacing(image.GetSpacing()[::-1]),
        centre=centre,
        clamp=CLAMP[modality],
        device=device,
        bfloat16=is_gpu_with_bfloat16(device),
    )


def _tell(bar: tqdm, name: str, windows: int) -> None:
    """A large target takes many windows, during which the number of targets stands still."""
    bar.set_postfix_str(f"{name}, {windows} window{'s' * (windows != 1)}")


def _line(job: Job, labels: NDArray, voxel_in_ml: float, windows: int, stopped: bool) -> SegmentedTarget:
    voxels = int(np.count_nonzero(labels == job.label))
    return SegmentedTarget(job.name, job.label, voxels, voxels * voxel_in_ml, windows, stopped, job.points)


class LabelMap:
    """Targets put into one label map one after the other; where they overlap the larger logit wins.

    Args:
        shape: [Z, Y, X].
        several: more than one target will come, so that logits must be remembered.

    Attributes:
        values: uint8 [Z, Y, X], 0 is background.
    """

    def __init__(self, shape: tuple[int, ...], *, several: bool) -> None:
        self.values = np.zeros(shape, dtype=np.uint8)
        self._best = np.zeros(shape, dtype=np.float16) if several else None

    def add(self, logits: Tensor, part: tuple[slice, slice, slice], *, label: int) -> None:
        """Logits [z, y, x] of a part of the map; everything else is background."""
        given = logits.numpy()
        wins = given > (0 if self._best is None else np.maximum(self._best[part], 0))
        self.values[part][wins] = label
        if self._best is not None:
            self._best[part][wins] = given[wins]


def _for_torch(array: NDArray) -> NDArray:
    """Intensities in a type that torch computes with."""
    known = array.dtype in (np.int8, np.uint8, np.int16, np.int32, np.float32)
    return array if known else array.astype(np.float32)


def as_table(segmentation: Segmentation) -> str:
    """One line a target, for the terminal."""
    lines = [f"{'label':>5}  {'target':<20}  {'voxels':>9}  {'ml':>9}  windows"]
    for target in segmentation.targets:
        note = "  (stopped: --most-windows)" if target.stopped else ""
        lines.append(
            f"{target.label:>5}  {target.name:<20}  {target.voxels:>9}  {target.volume_in_ml:>9.1f}  "
            f"{target.windows:>7}{note}"
        )
    return "\n".join(lines)


def names_of(segmentation: Segmentation) -> Mapping[int, str]:
    """Label -> name."""
    return {target.label: target.name for target in segmentation.targets}
