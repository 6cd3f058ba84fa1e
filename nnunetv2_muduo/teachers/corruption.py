"""Spoil a true mask the way a half-trained student does, so that a teacher learns to mend a bad mask prompt."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

LARGEST_LOGIT = 10.0


@dataclass(frozen=True)
class CorruptionSettings:
    """How often and how strongly masks are spoiled; lengths in voxels of the cube.

    shift: largest shift along each axis. missing, merged, stray: probabilities that a part is cut away along a random
    plane, that a neighbouring organ's nearby part is added, and that a ball somewhere else is added. blurs: most often
    it is averaged over 3 voxels. waviness: largest amplitude of the smooth noise that moves the border in and out (1
    swallows thin parts). confidence: range of the largest logit, drawn log-uniformly. bias: range of what is added to
    all logits, in units of the largest; a negative one is a student that hardly dares.
    """

    shift: int = 2
    missing: float = 0.35
    merged: float = 0.3
    stray: float = 0.25
    blurs: int = 1
    waviness: float = 0.5
    confidence: tuple[float, float] = (1.0, LARGEST_LOGIT)
    bias: tuple[float, float] = (-0.6, 0.6)


def corrupt_masks(
    targets: Tensor,
    others: Tensor,
    *,
    size: int,
    settings: CorruptionSettings | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Mask prompts a student might give: shifted, incomplete, merged, wavy, blurred, more or less sure.

    The work is done on a grid of half the resolution, where a student's soft mask has no more detail anyway.

    Args:
        targets: bool [P, S, S, S] truth; S even.
        others: bool [P, S, S, S] everything else that is labelled: what a student confuses the target with.
        size: edge length of the returned cubes.
        settings: strength of the corruption.
        generator: source of randomness.

    Returns:
        logits [P, size, size, size], within +-10.
    """
    settings = settings or CorruptionSettings()
    soft = nn.functional.avg_pool3d(targets[:, None].float(), 2)
    foreign = nn.functional.avg_pool3d(others[:, None].float(), 2)
    spoiled = torch.cat(
        [
            _spoil_one(one[None], other[None], settings=settings, generator=generator)
            for one, other in zip(soft, foreign, strict=True)
        ]
    )
    return nn.functional.interpolate(spoiled, size=(size, size, size), mode="trilinear", align_corners=False)[:, 0]


def _spoil_one(
    soft: Tensor, foreign: Tensor, *, settings: CorruptionSettings, generator: torch.Generator | None
) -> Tensor:
    """One soft mask [1, 1, s, s, s] -> logits of the same shape."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    offset = [round(uniform(-settings.shift, settings.shift) / 2) for _ in range(3)]
    mask = torch.roll(soft, offset, dims=(2, 3, 4))
    if uniform(0, 1) < settings.missing:
        mask = mask * (1 - _half_space(soft, share=uniform(0.1, 0.5), generator=generator))
    if uniform(0, 1) < settings.merged:
        near = _ball(soft, radius=uniform(2, 6), inside=soft, generator=generator)
        mask = torch.maximum(mask, foreign * near)
    if uniform(0, 1) < settings.stray:
        somewhere = torch.ones_like(soft)
        ball = _ball(soft, radius=uniform(1, 3), inside=somewhere, generator=generator)
        mask = torch.maximum(mask, uniform(0.4, 1) * ball)
    for _ in range(int(uniform(0, settings.blurs + 1))):
        mask = _blur(mask)
    mask = mask / mask.amax().clamp(min=1e-3)  # a thin organ keeps a core
    noise = torch.randn((1, 1, 6, 6, 6), generator=generator).to(soft)
    noise = nn.functional.interpolate(noise, size=soft.shape[2:], mode="trilinear", align_corners=False)
    edge = 4 * mask * (1 - mask)  # noise moves the border; far from it, it changes little
    wavy = 2 * mask - 1 + uniform(0, settings.waviness) * noise * (edge + 0.1)
    low, high = (math.log(value) for value in settings.confidence)
    logits = math.exp(uniform(low, high)) * (wavy + uniform(*settings.bias))
    return logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)


def _blur(mask: Tensor) -> Tensor:
    """Average over 3 voxels along each axis."""
    for kernel in ((3, 1, 1), (1, 3, 1), (1, 1, 3)):
        mask = nn.functional.avg_pool3d(
            mask, kernel, stride=1, padding=[length // 2 for length in kernel], count_include_pad=False
        )
    return mask


def _voxels(like: Tensor) -> Tensor:
    """Voxel coordinates [3, s, s, s] of a mask [1, 1, s, s, s]."""
    axes = [torch.arange(length, device=like.device, dtype=torch.float32) for length in like.shape[2:]]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def _ball(like: Tensor, *, radius: float, inside: Tensor, generator: torch.Generator | None) -> Tensor:
    """A ball [1, 1, s, s, s] of 0 and 1 around a random voxel of `inside` > 0 (around the corner if none)."""
    scores = torch.rand(inside.shape, generator=generator).to(inside) * (inside > 0)
    centre = torch.stack(torch.unravel_index(scores.flatten().argmax(), like.shape)[2:]).float()
    distance = (_voxels(like) - centre[:, None, None, None]).square().sum(0)
    return (distance < radius**2).float()[None, None]


def _half_space(mask: Tensor, *, share: float, generator: torch.Generator | None) -> Tensor:
    """A random half of space [1, 1, s, s, s], 0 or 1, that holds about this share of the mask's extent."""
    normal = torch.randn(3, generator=generator).to(mask)
    height = (_voxels(mask) * (normal / normal.norm())[:, None, None, None]).sum(0)
    inside = height[mask[0, 0] > 0.5]
    if inside.numel() == 0:
        return torch.zeros_like(mask)
    return (height < torch.quantile(inside, share)).float()[None, None]
