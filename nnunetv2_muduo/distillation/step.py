"""One distillation step: two teachers and a student in, a loss and its parts out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from nnunetv2_muduo.distillation.agreement import soft_iou
from nnunetv2_muduo.distillation.consensus import consensus_filter
from nnunetv2_muduo.distillation.fusion import StudentVote, both_streams, fuse
from nnunetv2_muduo.distillation.losses import consistency_loss
from nnunetv2_muduo.distillation.organ_mean import mean_over_organs
from nnunetv2_muduo.distillation.spatial_view import SpatialView


@dataclass(frozen=True)
class DistillationResult:
    """What a distillation step gives; only `loss` carries gradients.

    Attributes:
        loss: scalar, differentiable in the student; a zero that is still part of its graph when nothing is kept.
        iou: [B, K] soft IoU of the teachers, -1 where the organ is invalid.
        kept: [B, K] bool, the pseudo-labels that the loss used.
        pseudo_label: [B, K, Z, Y, X] bool, of every organ whether kept or not.
    """

    loss: Tensor
    iou: Tensor
    kept: Tensor
    pseudo_label: Tensor


def distil(
    student: Tensor,
    p_ct: Tensor | None,
    p_pet: Tensor | None,
    valid: Tensor,
    mix: Tensor | None,
    *,
    keep_fraction: float = 0.5,
    min_iou: float = 0.0,
    organ_weights: Tensor | None = None,
    vote: StudentVote | None = None,
    view: SpatialView | None = None,
) -> DistillationResult:
    """Consensus filter, fusion and consistency loss of a batch of unlabelled patches (arXiv 2606.15611).

    The loss is the mean over an organ's kept patches, then over the organs with a kept patch (`mean_over_organs`).
    Everything is computed in at least float32, inside autocast as well.

    Args:
        student: [B, K, Z, Y, X] probabilities of the K organs (no background).
        p_ct: [B, K, Z, Y, X] probabilities of the CT teacher, or None for a teacher that is switched off; the other one
            is then compared with itself, so the filter keeps the patches it is surest of.
        p_pet: the same of the PET teacher.
        valid: [B, K] bool, False where an organ was not found in a patch; such a pseudo-label is never used.
        mix: [B, K] weights of the CT teacher, as `fuse` takes them.
        keep_fraction: share of the batch to keep per organ, in (0, 1].
        min_iou: least agreement of a pseudo-label that is kept.
        organ_weights: [K] as `mean_over_organs` takes them.
        vote: of the averaged student on the pseudo-label, but neither on what is valid nor on what is kept; None: the
            teachers decide alone.
        view: how the patches lay before the student; its probabilities are of that view, everything else is of the
            patches. None: it saw them as they are.

    Raises:
        ValueError: when both teachers are missing or shapes do not fit.
    """
    first, second = both_streams(p_ct, p_pet)
    _check(student, first, second, valid, mix, organ_weights, vote)
    with torch.autocast(student.device.type, enabled=False):
        student, first, second = _full_precision(student), _full_precision(first), _full_precision(second)
        with torch.no_grad():
            iou = torch.where(valid, soft_iou(first, second), -1.0)
            kept = consensus_filter(iou, valid, keep_fraction=keep_fraction, min_iou=min_iou)
            pseudo_label = fuse(first, second, mix, vote=vote)
            seen = pseudo_label if view is None else view.of_masks(pseudo_label)
        loss = mean_over_organs(consistency_loss(student, seen), kept, organ_weights)
    return DistillationResult(loss=loss, iou=iou, kept=kept, pseudo_label=pseudo_label)


def _check(
    student: Tensor,
    first: Tensor,
    second: Tensor,
    valid: Tensor,
    mix: Tensor | None,
    organ_weights: Tensor | None,
    vote: StudentVote | None,
) -> None:
    if not student.shape == first.shape == second.shape:
        shapes = [tuple(tensor.shape) for tensor in (student, first, second)]
        raise ValueError(f"student and teachers differ in shape: {shapes}")
    if vote is not None and vote.probabilities.shape != student.shape:
        raise ValueError(f"student and vote differ in shape: {[tuple(student.shape), tuple(vote.probabilities.shape)]}")
    organs = tuple(student.shape[:2])
    if tuple(valid.shape) != organs or valid.dtype != torch.bool or (mix is not None and tuple(mix.shape) != organs):
        raise ValueError(f"valid (bool) and mix must have shape {organs}")
    if organ_weights is not None and tuple(organ_weights.shape) != organs[1:]:
        raise ValueError(f"organ_weights must have shape {organs[1:]}, not {tuple(organ_weights.shape)}")


def _full_precision(probabilities: Tensor) -> Tensor:
    return probabilities if probabilities.dtype == torch.float64 else probabilities.float()
