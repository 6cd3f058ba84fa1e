"""Consistency with an averaged student, everywhere or only where it is certain (METHODS.md, section 4)."""

import math

import torch
from torch import Tensor

_LEAST_PROBABILITY = 1e-6  # published; keeps the logarithm finite


def clipped_noise(shape: torch.Size, *, generator: torch.Generator) -> Tensor:
    """What the averaged student's input is disturbed by: Gaussian noise of sd 0.1, clipped to +-0.2, as published.

    In the image's own units: z-scores for an image that nnU-Net has normalised.

    Args:
        shape: of the image.
        generator: source of the draw; the noise is on its device.
    """
    return (torch.randn(shape, generator=generator, device=generator.device) * 0.1).clamp_(-0.2, 0.2)


def softmax_mse(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference of two probability maps, averaged over the classes (Mean Teacher, arXiv 1703.01780).

    Args:
        student: [B, 1 + K, *spatial] probabilities of all classes; gradients flow into it.
        teacher: the same shape.

    Returns:
        [B, *spatial] in [0, 1].
    """
    return (student - teacher).square().mean(1)


def predictive_entropy(probabilities: Tensor) -> Tensor:
    """Entropy of the mean prediction, in nats: -sum of p * log(p + 1e-6) over the classes (UA-MT, arXiv 1907.07034).

    Args:
        probabilities: [B, 1 + K, *spatial].

    Returns:
        [B, *spatial] from 0 (certain; rounding may leave it 1e-6 below) to log(1 + K).
    """
    return -(probabilities * (probabilities + _LEAST_PROBABILITY).log()).sum(1)


def entropy_threshold(classes: int, ramp: float) -> float:
    """Entropy in nats below which a voxel counts as certain: (0.75 + 0.25 * ramp) * log(classes) (UA-MT).

    The published scripts have log(2) whatever the number of classes, because theirs are two; the largest entropy is
    log(classes), of which the paper means three quarters at first and all in the end.

    Args:
        classes: of the softmax, with background.
        ramp: from 0 to 1.
    """
    return (0.75 + 0.25 * ramp) * math.log(classes)


def mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values [...] where the mask [...] (bool) is set; a zero that is part of the graph where it is nowhere."""
    return (values * mask).sum() / mask.sum().clamp_min(1)
