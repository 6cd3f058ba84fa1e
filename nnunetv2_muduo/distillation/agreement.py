"""How much two teachers agree on an organ, and with what prompted them."""

import torch
from torch import Tensor

from nnunetv2_muduo.distillation.fusion import both_streams, mixture


def soft_iou(p_ct: Tensor, p_pet: Tensor) -> Tensor:
    """Soft intersection over union of two probability maps: sum(a*b) / (sum(a) + sum(b) - sum(a*b)).

    Two maps that are zero everywhere agree on nothing and score 0. Of a map with itself the score is 1 only where the
    map is crisp, so it also measures how sure a single teacher is. From arXiv 2606.15611, consensus filter.

    Args:
        p_ct: [B, K, *spatial] probabilities in [0, 1].
        p_pet: the same shape.

    Returns:
        [B, K] in [0, 1].
    """
    spatial = tuple(range(2, p_ct.ndim))
    intersection = (p_ct * p_pet).sum(spatial)
    union = p_ct.sum(spatial) + p_pet.sum(spatial) - intersection
    return intersection / union.clamp_min(torch.finfo(union.dtype).tiny)


def prompt_agreement(p_ct: Tensor | None, p_pet: Tensor | None, prompted: Tensor, mix: Tensor | None = None) -> Tensor:
    """[B, K] soft IoU of the teachers' mixture with the masks [B, K, Z, Y, X] (bool) that prompted them.

    A few stray voxels of the prompt generator make a teacher outline whatever organ they lie in, and both teachers may
    well agree on it: this tells such answers from those about the organ that was meant. `mix` is as `fusion.mixture`
    takes it.
    """
    first, second = both_streams(p_ct, p_pet)
    return soft_iou(mixture(first, second, mix), prompted.to(first.dtype))
