"""Whether what two teachers say of an organ is about the organ that they were asked about."""

import torch
from torch import Tensor

from nnunetv2_muduo.distillation.agreement import soft_iou
from nnunetv2_muduo.distillation.fusion import both_streams

AGREED, HELD, CLAIMED = 0.3, 0.5, 0.3  # chosen with benchmarks/prompt_sources.py, seeds 3 and 4


def prompt_agreement(p_ct: Tensor | None, p_pet: Tensor | None, prompted: Tensor) -> Tensor:
    """[B, K] soft IoU of the teachers' mean with the masks [B, K, Z, Y, X] (bool) that prompted them.

    A few stray voxels of the prompt generator make a teacher outline whatever organ they lie in, and both teachers may
    well agree on it: this tells such answers from those about the organ that was meant.
    """
    first, second = both_streams(p_ct, p_pet)
    return soft_iou((first + second) / 2, prompted.to(first.dtype))


def grown_from_prompts(p_ct: Tensor, p_pet: Tensor, prompted: Tensor) -> Tensor:
    """Answers that may be far larger than their prompt, because it is a part of the organ that was meant.

    Both teachers give it (soft IoU of at least 0.3), it holds half of its prompt or more, and no more than 0.3 of it is
    what other organs were prompted with, which is where stray voxels lead. The last two are of the teachers' mean.

    Args:
        p_ct: [B, K, Z, Y, X] probabilities of the CT teacher.
        p_pet: the same of the PET teacher.
        prompted: the same shape, bool, the masks that prompted them; they exclude each other.

    Returns:
        [B, K] bool.
    """
    answer, asked = (p_ct + p_pet) / 2, prompted.to(p_ct.dtype)
    others = prompted.any(1, keepdim=True).to(p_ct.dtype) - asked
    return (
        (soft_iou(p_ct, p_pet) >= AGREED)
        & (_share_within(asked, answer) >= HELD)
        & (_share_within(answer, others) <= CLAIMED)
    )


def _share_within(part: Tensor, whole: Tensor) -> Tensor:
    """[B, K] share of one map that lies in another, both [B, K, Z, Y, X] in [0, 1]; 0 of nothing."""
    spatial = tuple(range(2, part.ndim))
    amount = part.sum(spatial)
    return (part * whole).sum(spatial) / amount.clamp_min(torch.finfo(amount.dtype).tiny)
