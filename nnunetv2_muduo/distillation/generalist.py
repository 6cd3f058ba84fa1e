"""Consistency with one promptable generalist (SemiSAM, arXiv 2312.06316; SemiSAM+, arXiv 2502.20749)."""

import torch
from torch import Tensor


def generalist_loss(student: Tensor, answer: Tensor, valid: Tensor, organ_weights: Tensor | None = None) -> Tensor:
    """Squared difference of the student's probabilities and the generalist's mask.

    Mean over the voxels of a patch, then over an organ's valid patches, then over the organs that have any. As in
    `distil`, organ weights multiply an organ's loss and leave the number it is divided by as it was.

    Args:
        student: [B, K, *spatial] probabilities of the K organs (no background); gradients flow into it.
        answer: [B, K, *spatial] probabilities of the generalist, cut at one half, as published.
        valid: [B, K] bool, where the student found the organ, so that the generalist was asked.
        organ_weights: [K] weights of at least 0, or None for 1 each.

    Returns:
        Scalar; a zero that is part of the graph where nothing is valid.
    """
    valid = valid.clone()  # teachers answer in inference mode, and autograd keeps no tensor made there
    per_patch = (student - (answer > 0.5).to(student.dtype)).square().flatten(2).mean(2)
    patches = valid.sum(0)
    per_organ = torch.where(valid, per_patch, 0.0).sum(0) / patches.clamp_min(1)
    weighted = per_organ if organ_weights is None else per_organ * organ_weights.to(per_organ)
    return weighted.sum() / (patches > 0).sum().clamp_min(1)
