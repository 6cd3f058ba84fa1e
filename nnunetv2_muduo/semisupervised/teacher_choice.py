"""Which teacher labels which organ: whichever does it best on labelled patches."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from nnunetv2_muduo.distillation import ct_share_of_best
from nnunetv2_muduo.semisupervised.answers import OwnAnswer, Patches
from nnunetv2_muduo.semisupervised.dice_counter import DiceCounter, count_masks
from nnunetv2_muduo.semisupervised.teaching import Teaching

CT_SHARES = {"CT": 1.0, "PET": 0.0, "both": 0.5}


@torch.inference_mode()
def choose_teachers(
    teaching: Teaching,
    student: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Patches, Tensor]],
    *,
    organs: int,
    ignore_label: int | None = None,
    own_answer: Callable[[Tensor], OwnAnswer | None] = lambda clean: None,
) -> np.ndarray:
    """Let the CT teacher, the PET teacher and both label the same patches, and take the best for each organ.

    The averaged student prompts where it does in a training, but has no vote, which would even out what is compared.

    Args:
        teaching: the teachers and the prompt generator.
        student: clean patches [B, C, Z, Y, X] -> logits [B, 1 + K, Z, Y, X].
        batches: pairs of patches and their labels [B, 1, Z, Y, X] (int, organ k is label k + 1).
        organs: K.
        ignore_label: voxels with this label do not count.
        own_answer: clean patches -> what the averaged student says, where it takes part.

    Returns:
        [K] weight of the CT teacher, as `Teaching.judge` takes it; NaN where these patches do not tell.
    """
    counters = {who: DiceCounter(organs) for who in CT_SHARES}
    for patches, labels in batches:
        probabilities = student(patches.clean).float().softmax(1)[:, 1:]
        answers = teaching.ask(patches, probabilities, own_answer(patches.clean))
        masks = {
            who: teaching.judge(answers, ct_share=torch.full((organs,), share, device=probabilities.device)).fused
            for who, share in CT_SHARES.items()
        }
        count_masks(masks, labels, counters=counters, ignore_label=ignore_label)
        del patches, labels, probabilities, answers, masks  # before the next ones are made
    return ct_share_of_best(*(counters[who].dice() for who in CT_SHARES))
