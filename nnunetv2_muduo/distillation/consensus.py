"""Which pseudo-labels of a batch are trusted."""

import math

import torch
from torch import Tensor


def consensus_filter(iou: Tensor, valid: Tensor, *, keep_fraction: float = 0.5, min_iou: float = 0.0) -> Tensor:
    """Keep, organ by organ, the patches on which the teachers agree most.

    An organ's quota is its share of the whole batch, int(B * keep_fraction) and at least one, however many of its
    patches are valid; it is filled with valid patches only and stays unfilled where they are too few. Of equal scores
    the earlier patch wins. From arXiv 2606.15611, consensus filter (keep_fraction 0.5, min_iou 0; its ablations are
    keep_fraction 1, and keep_fraction 1 with min_iou 0.5).

    Args:
        iou: [B, K] agreement of the teachers.
        valid: [B, K] bool, False where the organ was not found and must never be chosen.
        keep_fraction: in (0, 1].
        min_iou: least agreement of a patch that is kept, in [0, 1].

    Returns:
        [B, K] bool. A patch whose agreement is not a number is never kept.
    """
    batch = iou.shape[0]
    quota = max(1, math.floor(batch * keep_fraction + 1e-6))  # 1e-6: 100 * 0.29 is 28.999... in floating point
    eligible = valid & (iou >= min_iou)
    score = torch.where(eligible, iou, -1.0)
    best_first = score.argsort(dim=0, descending=True, stable=True)
    chosen = torch.zeros_like(eligible).scatter_(0, best_first[:quota], True)
    return chosen & eligible
