"""What a prompted answer costs: Dice + binary cross-entropy, target by target."""

import torch
from torch import Tensor, nn


def target_losses(logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
    """Soft Dice loss plus mean binary cross-entropy of each target.

    Args:
        logits: [B, K, X, Y, Z].
        targets: bool, same shape.
        known: bool [B, 1, X, Y, Z]; voxels outside count for neither part. None: all are known.

    Returns:
        [B, K].
    """
    truth, logits = targets.float(), logits.float()
    probabilities = torch.sigmoid(logits)
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    if known is None or bool(known.all()):
        mean_entropy = entropy.flatten(-3).mean(-1)
    else:
        counted = known.float()
        probabilities, truth = probabilities * counted, truth * counted
        voxels = counted.flatten(-3).sum(-1).clamp_min(1)
        mean_entropy = (entropy * counted).flatten(-3).sum(-1) / voxels
    shared = (probabilities * truth).flatten(-3).sum(-1)
    total = probabilities.flatten(-3).sum(-1) + truth.flatten(-3).sum(-1)
    return 1 - (2 * shared + 1) / (total + 1) + mean_entropy


def dice_and_cross_entropy(logits: Tensor, targets: Tensor, known: Tensor | None = None) -> Tensor:
    """Mean soft Dice loss of the targets plus mean binary cross-entropy; logits and targets [B, K, X, Y, Z]."""
    return target_losses(logits, targets, known).mean()
