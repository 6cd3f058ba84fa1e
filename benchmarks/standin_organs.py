"""First stage of a stand-in's training: the ClickUNet's embedding learns to tell organs apart, before it is prompted.

A teacher that already tells organs apart needs only to learn which of them is meant.
"""

from collections.abc import Mapping
from typing import cast

import torch
from standin_pool import TARGETS
from torch import Tensor, nn

from nnunetv2_muduo.teachers.click_unet import ClickUNet
from nnunetv2_muduo.teachers.crops import Crops
from nnunetv2_muduo.teachers.descent import descend
from nnunetv2_muduo.teachers.training_settings import TrainingSettings


def organ_labels(crops: Crops, targets: Mapping[str, tuple[int, ...]]) -> Tensor:
    """Label maps [B, S, S, S] with organ i of `targets` as i + 1 and everything else 0."""
    table = torch.zeros(256, dtype=torch.long)
    for number, labels in enumerate(targets.values(), start=1):
        table[list(labels)] = number
    return table[crops.labels.long()]


def organ_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice over the batch, mean over organs; one channel an organ after that of all else.

    Raises:
        ValueError: if a label has no channel.
    """
    organs = logits.shape[1] - 1
    if labels.max() > organs:
        raise ValueError(f"label {labels.max()} has no channel: the embedding tells {organs} organs apart")
    one_hot = nn.functional.one_hot(labels, organs + 1).permute(0, 4, 1, 2, 3)[:, 1:]
    probabilities = logits.softmax(1)[:, 1:]
    shared = (probabilities * one_hot).sum((0, 2, 3, 4))
    total = probabilities.sum((0, 2, 3, 4)) + one_hot.sum((0, 2, 3, 4))
    dice = (2 * shared + 1) / (total + 1)
    return nn.functional.cross_entropy(logits, labels) + 1 - dice.mean()


def organ_step(
    teacher: nn.Module,
    crops: Crops,
    optimiser: torch.optim.Optimizer,
    *,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> float:
    """A step for `train_teacher` without any prompt; the head is left as it is."""
    with torch.autocast(crops.images.device.type, torch.bfloat16, enabled=settings.bfloat16):
        logits = cast(ClickUNet, teacher).tissue_logits(crops.images).float()
    loss = organ_loss(logits, organ_labels(crops, TARGETS))
    return descend(loss, teacher, optimiser, largest_gradient=settings.largest_gradient)
