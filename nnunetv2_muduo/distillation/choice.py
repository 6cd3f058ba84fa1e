"""Which teacher labels an organ: one of them alone, or both."""

import numpy as np
import torch
from torch import Tensor


def ct_share_of_best(ct: np.ndarray, pet: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Weight of the CT teacher, organ by organ, that gives the best labels: 1, 0 or, for both, 0.5.

    Args:
        ct: [K] Dice of labels by the CT teacher alone, NaN where an organ was not seen.
        pet: the same by the PET teacher alone.
        both: the same by both.

    Returns:
        [K], NaN where nobody is better than the others.
    """
    dice = np.nan_to_num(np.stack([ct, pet, both]))
    second, best = np.sort(dice, axis=0)[-2:]
    return np.where(best > second, np.array([1.0, 0.0, 0.5])[dice.argmax(0)], np.nan)


def without_the_unfit(ct_share: Tensor, ct_fits: Tensor, pet_fits: Tensor) -> Tensor:
    """Let one teacher label alone where the other's answer does not fit.

    Args:
        ct_share: [K] or [B, K] weight of the CT teacher.
        ct_fits: [B, K] bool.
        pet_fits: the same of the PET teacher.

    Returns:
        [B, K] weights of the CT teacher. Where an organ is labelled by one teacher anyway, or neither answer fits,
        nothing changes.
    """
    share = ct_share.expand(ct_fits.shape)
    both = (share > 0) & (share < 1)
    return torch.where(both & ct_fits & ~pet_fits, 1.0, torch.where(both & pet_fits & ~ct_fits, 0.0, share))
