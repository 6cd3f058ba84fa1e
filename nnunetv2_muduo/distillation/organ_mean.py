"""From a loss for each patch and organ to one number."""

import torch
from torch import Tensor


def mean_over_organs(losses: Tensor, used: Tensor, organ_weights: Tensor | None = None) -> Tensor:
    """Mean over an organ's used patches, then over the organs that have any.

    Weights multiply an organ's loss and leave the number it is divided by as it was, so a weight of 0 takes an organ's
    influence away without giving it to the others.

    Args:
        losses: [B, K] of each patch and organ.
        used: [B, K] bool; what losses hold elsewhere, even NaN, does not matter.
        organ_weights: [K] of at least 0, or None for 1 each.

    Returns:
        Scalar; a zero that is part of the graph where nothing is used.
    """
    used = used.clone()  # teachers answer in inference mode, and autograd keeps no tensor made there
    patches = used.sum(0)
    per_organ = torch.where(used, losses, 0.0).sum(0) / patches.clamp_min(1)
    weighted = per_organ if organ_weights is None else per_organ * organ_weights.to(per_organ)
    return weighted.sum() / (patches > 0).sum().clamp_min(1)
