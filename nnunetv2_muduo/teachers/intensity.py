"""Intensities on their way to a teacher: back from nnU-Net's normalisation to HU and SUV, then z-scored."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nnunetv2_muduo.errors import UserError

CLAMP: Mapping[str, tuple[float, float] | None] = {"CT": (-1000.0, 1000.0), "PET": None}  # HU; as published
INVERTIBLE_SCHEMES = ("CTNormalization", "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization")
_LEAST_SCALE = 1e-8  # nnU-Net divides by no less
_LEAST_RELATIVE_STD = 1e-4  # below it, a spread is rounding error


@dataclass(frozen=True)
class RawIntensity:
    """How to undo a normalisation: raw = normalised * scale + shift, raw in HU or SUV."""

    scale: float
    shift: float


def raw_intensity(
    scheme: str,
    *,
    intensity_properties: dict | None,
    mean: float | None,
    std: float | None,
    minimum: float | None,
    maximum: float | None,
) -> RawIntensity:
    """How to undo one of nnU-Net's normalisation schemes for one channel.

    What CTNormalization clipped (to the 0.5 and 99.5 percentiles of the foreground) stays clipped.

    Args:
        scheme: name of the scheme in the plans.
        intensity_properties: the channel's `foreground_intensity_properties`; read for CTNormalization only.
        mean, std: of the case, over the voxels that were normalised; read for ZScoreNormalization only.
        minimum, maximum: of the case; read for RescaleTo01Normalization only.

    Raises:
        UserError: for a scheme that cannot be undone, naming it, and for plans without the intensity properties.
        ValueError: if a statistic of the case that the scheme needs is None.
    """
    if scheme == "NoNormalization":
        return RawIntensity(1.0, 0.0)
    if scheme == "CTNormalization":
        if not intensity_properties or not {"mean", "std"} <= intensity_properties.keys():
            raise UserError(
                "The plans lack the foreground intensity properties of a CTNormalization channel; plan again."
            )
        return _affine(intensity_properties["std"], intensity_properties["mean"])
    if scheme == "ZScoreNormalization":
        if mean is None or std is None:
            raise ValueError("ZScoreNormalization needs the mean and std of the case")
        return _affine(std, mean)
    if scheme == "RescaleTo01Normalization":
        if minimum is None or maximum is None:
            raise ValueError("RescaleTo01Normalization needs the minimum and maximum of the case")
        return _affine(maximum - minimum, minimum)
    raise UserError(
        f"The teachers need raw intensities, which cannot be recovered from {scheme}; plan with one of "
        f"{', '.join(INVERTIBLE_SCHEMES)}."
    )


def _affine(scale: float, shift: float) -> RawIntensity:
    return RawIntensity(max(float(scale), _LEAST_SCALE), float(shift))


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
