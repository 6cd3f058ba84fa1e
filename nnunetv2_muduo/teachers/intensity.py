"""Intensities as a teacher sees them: HU or SUV, clamped and z-scored."""

from collections.abc import Mapping

import torch
from torch import Tensor

CLAMP: Mapping[str, tuple[float, float] | None] = {"CT": (-1000.0, 1000.0), "PET": None}  # HU; as published
_LEAST_RELATIVE_STD = 1e-4  # below it, a spread is rounding error


def normalise_for_teacher(raw: Tensor, clamp: tuple[float, float] | None) -> Tensor:
    """z-normalise each image over its voxels > 0, as the published teachers were trained (METHODS.md, section 2).

    Mean and standard deviation (with Bessel's correction, as torchio's ZNormalization) are taken over the voxels > 0
    after clamping and applied to all voxels, so that air in a CT lies far below zero.

    Args:
        raw: [B, 1, ...] HU or SUV.
        clamp: raw intensities are clamped to this range first; None leaves them.

    Returns:
        The same shape, device and floating dtype (integers give float32); computed in float32. An image with no voxel
        > 0, or constant there, has no scale: it becomes all zeros.
    """
    images = raw.float() if clamp is None else raw.float().clamp(*clamp)
    flat = images.flatten(1)
    positive = flat > 0
    count = positive.sum(1, keepdim=True)
    mean = flat.relu().sum(1, keepdim=True) / count.clamp(min=1)
    deviation = flat - mean
    spread = torch.linalg.vector_norm(deviation * positive, dim=1, keepdim=True)
    std = spread / (count - 1).clamp(min=1).sqrt()
    scale = torch.where(std > _LEAST_RELATIVE_STD * mean, 1 / std, 0.0)
    normalised = (deviation * scale).view_as(images)
    return normalised.to(raw.dtype) if raw.is_floating_point() else normalised
