"""One labelled case on whose organs a simulated user clicks."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import SimpleITK as sitk
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from nnunetv2_muduo.datasets.boxes import box_around, middle_of
from nnunetv2_muduo.datasets.plausibility import intensity_warnings
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.evaluation.click_summary import ClickRow
from nnunetv2_muduo.interactive.click_settings import ClickSettings
from nnunetv2_muduo.interactive.clicked_dice import ClickSession, clicked_dice, clicks_generator
from nnunetv2_muduo.interactive.dataset_scans import DatasetCase, read_channel, read_labels
from nnunetv2_muduo.interactive.one_window import OneWindowSession, part_in_window
from nnunetv2_muduo.interactive.session import PromptSession
from nnunetv2_muduo.teachers import PromptableTeacher
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.precision import is_gpu_with_bfloat16
from nnunetv2_muduo.teachers.windows import ScanWindows


class CaseScan:
    """One case; label map and scan are read when they are needed, once each.

    Args:
        case: where it lies.
        teacher: frozen, in eval mode, on `device`.
        channel: number of the channel that it looks at.
        modality: "CT" or "PET", what this channel should hold; intensities that do not look like it are warned of.
        ignore: label of voxels that do not count.
        device: where the teacher computes.
    """

    def __init__(
        self,
        case: DatasetCase,
        teacher: PromptableTeacher,
        *,
        channel: int,
        modality: str,
        ignore: int | None,
        device: torch.device,
    ) -> None:
        self.case, self.teacher, self.channel, self.ignore, self.device = case, teacher, channel, ignore, device
        self.modality = modality

    def measure(self, organ: str, value: int, settings: ClickSettings) -> list[ClickRow]:
        """A row for each number of clicks; none if the organ is absent, or (crop) outside its own window."""
        truth = torch.from_numpy(np.equal(self.labels, value))
        box = box_around(truth.numpy())
        if box is None:
            return []
        counted = None if self.ignore is None else torch.from_numpy(np.not_equal(self.labels, self.ignore))
        if settings.protocol == "crop":
            windows = self.windows_around(middle_of(box))
            within = torch.zeros_like(truth)
            within[part_in_window(windows)] = True
            counted = within if counted is None else counted & within

        voxels = int((truth if counted is None else truth & counted).sum())
        if not voxels:
            tqdm.write(f"{self.case.name}: no voxel of {organ} lies in the window around its middle; skipped")
            return []

        def begin(position: Tensor) -> ClickSession:
            if settings.protocol == "crop":
                return OneWindowSession(windows)
            return PromptSession(self.shared if settings.share_windows else self.windows_around(position.tolist()))

        generator = clicks_generator(settings.seed, self.case.name, organ)
        found = clicked_dice(begin, truth, clicks=settings.clicks, generator=generator, counted=counted)
        return [
            ClickRow(self.case.name, organ, voxels, at.clicks, round(at.dice, 6), at.windows, round(at.seconds, 3))
            for at in found
        ]

    @cached_property
    def label_image(self) -> sitk.Image:
        """The label map as it lies on the disk."""
        return read_labels(self.case)

    @cached_property
    def labels(self) -> NDArray:
        """The label map [Z, Y, X] as the teacher has its axes."""
        turn = Turn.of(self.label_image.GetDirection(), self.teacher.spec.orientation)
        return turn.there(sitk.GetArrayViewFromImage(self.label_image))  # the image lives as long as the view

    @cached_property
    def volume(self) -> tuple[Tensor, tuple[float, ...]]:
        """Intensities [Z, Y, X] and spacing (z, y, x) in mm."""
        array, spacing = read_channel(self.case, self.channel, self.teacher.spec.orientation, labels=self.label_image)
        for warning in intensity_warnings(array, modality=self.modality):
            tqdm.write(f"WARNING: {self.case.name}: {warning}")
        return torch.from_numpy(array), spacing

    @cached_property
    def shared(self) -> ScanWindows:
        """Windows around the middle of the scan, one for all organs."""
        return self.windows_around([length / 2 for length in self.labels.shape])

    def windows_around(self, centre: Sequence[float]) -> ScanWindows:
        """Windows of the scan, the first one centred on a position (z, y, x); they remember what they encoded."""
        volume, spacing = self.volume
        return ScanWindows(
            self.teacher,
            volume,
            spacing,
            centre=centre,
            clamp=CLAMP[self.modality],
            device=self.device,
            bfloat16=is_gpu_with_bfloat16(self.device),
        )
