"""The labelled patches of the teacher report: few, fixed, full of organs, clean."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import Tensor

from nnunetv2_muduo.datasets.orientation import orientation_of
from nnunetv2_muduo.semisupervised.answers import Patches

SEED = 1234  # the same patches for every report, so that its curve compares like with like


class _NotingLoader(nnUNetDataLoader):
    """Notes which part of each patch is scan: labels are -1 beyond it and outside nnU-Net's nonzero mask alike."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self.scans: list[Tensor] = []  # bool [1, Z, Y, X] of each patch so far

    def get_bbox(self, data_shape: Sequence[int], *given: Any, **options: Any) -> tuple[list[int], list[int]]:
        lower, upper = super().get_bbox(data_shape, *given, **options)
        inside = torch.zeros(1, *self.patch_size, dtype=torch.bool)
        z, y, x = (slice(max(0, -low), size - low) for low, size in zip(lower, data_shape, strict=True))
        inside[:, z, y, x] = True
        self.scans.append(inside)
        return lower, upper


def draw_report_patches(
    dataset: nnUNetBaseDataset,
    *,
    number: int,
    batch_size: int,
    patch_size: Sequence[int],
    label_manager: LabelManager,
    raw_intensities: Mapping[str, Sequence[tuple[float, float]]],
    outside_is_zero: Sequence[bool],
    raw_padding: Sequence[float],
) -> list[tuple[Patches, Tensor]]:
    """Patches centred on labelled organs, drawn by nnU-Net's own loader.

    Args:
        dataset: preprocessed labelled cases.
        number: of patches, rounded up to whole batches.
        batch_size: patches a batch.
        patch_size: (Z, Y, X) voxels.
        label_manager: nnU-Net's.
        raw_intensities: case -> (scale, shift) of each channel, raw = normalised * scale + shift.
        outside_is_zero: whether each channel is 0 outside nnU-Net's nonzero mask, see `raw_intensities`.
        raw_padding: raw value of each channel outside the scan (HU, SUV).

    Returns:
        Batches of patches and labels [B, 1, Z, Y, X] int16, background outside the scan.
    """
    loader = _NotingLoader(
        dataset, batch_size, patch_size, patch_size, label_manager, oversample_foreground_percent=1.0
    )
    state = np.random.get_state()
    np.random.seed(SEED)  # nnU-Net's loader draws from numpy's global stream
    try:
        batches = [loader.generate_train_batch() for _ in range(-(-number // batch_size))]
    finally:
        np.random.set_state(state)
    drawn = {key for batch in batches for key in batch["keys"]}
    orientations = {key: orientation_of(dataset.load_case(key)[-1]) for key in drawn}
    scans = torch.stack(loader.scans).split(batch_size)
    masked, padding = (torch.tensor(values).view(1, -1, 1, 1, 1) for values in (outside_is_zero, raw_padding))
    found = []
    for batch, scan in zip(batches, scans, strict=True):
        clean, labels, keys = batch["data"], batch["target"], batch["keys"]
        scale_and_shift = torch.tensor([raw_intensities[key] for key in keys], dtype=torch.float32)
        scale, shift = (scale_and_shift[..., i, None, None, None] for i in range(2))
        raw = torch.where(masked & (labels < 0), 0.0, clean * scale + shift)
        raw = torch.where(scan, raw, padding)
        found.append((Patches(clean, raw, [orientations[key] for key in keys]), labels.clamp_min(0)))
    return found
