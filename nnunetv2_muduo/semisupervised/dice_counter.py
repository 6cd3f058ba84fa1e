"""Dice over many patches together, organ by organ."""

import numpy as np
import torch
from torch import Tensor

from nnunetv2_muduo.semisupervised.answers import organ_masks


class DiceCounter:
    """Adds up overlap and sizes over patches: Dice = 2 * overlap / (size + size), per organ."""

    def __init__(self, organs: int) -> None:
        self.overlap, self.sizes, self.truth = np.zeros(organs), np.zeros(organs), np.zeros(organs)

    def add(self, prediction: Tensor, truth: Tensor, counted: Tensor) -> None:
        """Three bool tensors [B, K, Z, Y, X] ([B, 1, Z, Y, X] for `counted`: not the ignore label)."""
        prediction, truth = prediction & counted, truth & counted

        def total(mask: Tensor) -> np.ndarray:
            return mask.sum(dim=(0, 2, 3, 4)).double().cpu().numpy()

        self.overlap += total(prediction & truth)
        self.truth += total(truth)
        self.sizes += total(prediction) + total(truth)

    def dice(self) -> np.ndarray:
        """[K], NaN where the organ is in no patch."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.truth > 0, 2 * self.overlap / self.sizes, np.nan)


def count_masks(
    masks: dict[str, Tensor], labels: Tensor, *, counters: dict[str, DiceCounter], ignore_label: int | None
) -> set[str]:
    """Add one batch to the counters; returns whose answers were counted.

    Args:
        masks: whose -> [B, K, Z, Y, X] bool.
        labels: [B, 1, Z, Y, X] int, organ k is label k + 1.
        counters: whose -> counter.
        ignore_label: voxels with this label do not count.
    """
    counted = labels != ignore_label if ignore_label is not None else torch.ones_like(labels, dtype=torch.bool)
    for source, mask in masks.items():
        counters[source].add(mask, organ_masks(labels[:, 0], mask.shape[1]), counted)
    return set(masks)
