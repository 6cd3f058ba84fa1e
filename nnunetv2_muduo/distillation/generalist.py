"""Consistency with one promptable generalist (SemiSAM, arXiv 2312.06316; SemiSAM+, arXiv 2502.20749)."""

from torch import Tensor

from nnunetv2_muduo.distillation.organ_mean import mean_over_organs


def generalist_loss(student: Tensor, answer: Tensor, valid: Tensor, organ_weights: Tensor | None = None) -> Tensor:
    """Squared difference of the student's probabilities and the generalist's mask.

    Mean over the voxels of a patch, then over an organ's valid patches, then over the organs that have any
    (`mean_over_organs`).

    Args:
        student: [B, K, *spatial] probabilities of the K organs (no background); gradients flow into it.
        answer: [B, K, *spatial] probabilities of the generalist, cut at one half, as published.
        valid: [B, K] bool, where the student found the organ, so that the generalist was asked.
        organ_weights: [K] as `mean_over_organs` takes them.

    Returns:
        Scalar; a zero that is part of the graph where nothing is valid.
    """
    per_patch = (student - (answer > 0.5).to(student.dtype)).square().flatten(2).mean(2)
    return mean_over_organs(per_patch, valid, organ_weights)
