"""The labelled patches of the teacher report: few, fixed, full of organs, clean."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import Tensor

from nnunetv2_muduo.datasets.orientation import orientation_of
from nnunetv2_muduo.semisupervised.answers import Patches

SEED = 1234  # the same patches for every report, so that its curve compares like with like


def draw_report_patches(
    dataset: nnUNetBaseDataset,
    *,
    number: int,
    batch_size: int,
    patch_size: Sequence[int],
    label_manager: LabelManager,
    raw_intensities: Mapping[str, Sequence[tuple[float, float]]],
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
        raw_padding: raw value of each channel outside the scan (HU, SUV).

    Returns:
        Batches of patches and labels [B, 1, Z, Y, X] int16, background outside the scan.
    """
    loader = nnUNetDataLoader(
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
    return [_with_raw(batch, raw_intensities, raw_padding, orientations) for batch in batches]


def _with_raw(
    batch: dict,
    raw_intensities: Mapping[str, Sequence[tuple[float, float]]],
    raw_padding: Sequence[float],
    orientations: Mapping[str, str | None],
) -> tuple[Patches, Tensor]:
    clean, labels = batch["data"], batch["target"]
    scale_and_shift = torch.tensor([raw_intensities[key] for key in batch["keys"]], dtype=torch.float32)
    scale, shift = (scale_and_shift[..., i, None, None, None] for i in range(2))
    padding = torch.tensor(raw_padding, dtype=torch.float32).view(1, -1, 1, 1, 1)
    raw = torch.where(labels < 0, padding, clean * scale + shift)
    return Patches(clean, raw, [orientations[key] for key in batch["keys"]]), labels.clamp_min(0)
