"""How well the masked autoencoder tells what it saw and what it did not see."""

import torch
from torch import Tensor

VISIBLE_WEIGHT = 0.2  # published


def reconstruction_loss(
    reconstruction: Tensor, image: Tensor, mask: Tensor, visible_weight: float = VISIBLE_WEIGHT
) -> Tensor:
    """Mean squared error over the hidden voxels + `visible_weight` * that over the visible ones (arXiv 2605.21835).

    Each mean is over all voxels of its kind in the batch, whichever patch and channel they belong to. Where there is no
    voxel of a kind, its term is 0.

    Args:
        reconstruction: [B, C, Z, Y, X] as the network returns it, of any float type; gradients flow into it.
        image: [B, C, Z, Y, X] z-scores, without holes.
        mask: [B, C, Z, Y, X] bool, True where hidden.
        visible_weight: at least 0.

    Returns:
        Scalar float32, in squared z-scores.
    """
    hidden = mask.sum()
    visible = mask.numel() - hidden
    weight = torch.where(mask, 1 / hidden.clamp(min=1), visible_weight / visible.clamp(min=1))  # no wait for the GPU
    return ((reconstruction.float() - image.float()).square() * weight).sum()
