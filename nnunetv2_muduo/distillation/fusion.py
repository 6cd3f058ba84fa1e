"""From two teachers' probabilities to one hard pseudo-label."""

from torch import Tensor


def fuse(p_ct: Tensor, p_pet: Tensor, mix: Tensor) -> Tensor:
    """Mix the teachers and cut at one half: mix * p_ct + (1 - mix) * p_pet > 0.5 (arXiv 2606.15611, fusion).

    Args:
        p_ct: [B, K, *spatial] probabilities in [0, 1].
        p_pet: the same shape.
        mix: [B, K] weight of the CT teacher in [0, 1]; published: drawn uniformly per patch and organ.

    Returns:
        [B, K, *spatial] bool.
    """
    weight = mix.reshape(*mix.shape, *[1] * (p_ct.ndim - 2)).to(p_ct.dtype)
    return weight * p_ct + (1 - weight) * p_pet > 0.5
