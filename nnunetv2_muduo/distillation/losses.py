"""The loss that pulls the student towards its teachers."""

from torch import Tensor

_SMOOTH = 1e-5  # published


def consistency_loss(student: Tensor, pseudo_label: Tensor) -> Tensor:
    """Soft Dice loss per patch and organ: 1 - (2*sum(s*t) + 1e-5) / (sum(s) + sum(t) + 1e-5) (arXiv 2606.15611).

    Args:
        student: [B, K, *spatial] probabilities in [0, 1]; gradients flow into it.
        pseudo_label: [B, K, *spatial] bool.

    Returns:
        [B, K] in [0, 1].
    """
    spatial = tuple(range(2, student.ndim))
    overlap = (student * pseudo_label).sum(spatial)  # the label stays bool: autograd keeps one byte a voxel, not four
    return 1 - (2 * overlap + _SMOOTH) / (student.sum(spatial) + pseudo_label.sum(spatial) + _SMOOTH)
