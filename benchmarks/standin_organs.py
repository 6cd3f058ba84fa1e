"""First stage of a stand-in's training: the ClickUNet's embedding learns to tell organs apart, before it is prompted.

A teacher that already tells organs apart needs only to learn which of them is meant.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from nnunetv2_muduo.teachers.click_unet import ClickUNet
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.training import TrainingSettings, learning_rate_at


def organ_labels(crops: Crops, targets: Mapping[str, tuple[int, ...]]) -> Tensor:
    """Label maps [B, S, S, S] with organ i of `targets` as i + 1 and everything else 0."""
    table = torch.zeros(256, dtype=torch.long)
    for number, labels in enumerate(targets.values(), start=1):
        table[list(labels)] = number
    return table[crops.labels.long()]


def organ_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus soft Dice over the batch, mean over organs."""
    organs = logits.shape[1] - 1
    one_hot = nn.functional.one_hot(labels, organs + 1).permute(0, 4, 1, 2, 3)[:, 1:]
    probabilities = logits.softmax(1)[:, 1:]
    shared = (probabilities * one_hot).sum((0, 2, 3, 4))
    total = probabilities.sum((0, 2, 3, 4)) + one_hot.sum((0, 2, 3, 4))
    dice = (2 * shared + 1) / (total + 1)
    return nn.functional.cross_entropy(logits, labels) + 1 - dice.mean()


def learn_organs(
    teacher: ClickUNet,
    cases: Sequence[TrainingCase],
    *,
    targets: Mapping[str, tuple[int, ...]],
    settings: TrainingSettings,
    crop_settings: CropSettings,
) -> list[float]:
    """Train the teacher's embedding in place, one channel an organ and the first for all else; the loss of each step.

    Raises:
        ValueError: if the embedding does not have a channel for each target and one more.
    """
    if teacher.config.embedding_channels != len(targets) + 1:
        raise ValueError(f"{len(targets)} targets need {len(targets) + 1} embedding channels")
    sampler = CropSampler(cases, targets=targets, settings=crop_settings)
    settings = replace(settings, decay_share=1.0)
    optimiser = torch.optim.AdamW(
        teacher.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    generator = torch.Generator().manual_seed(settings.seed)
    losses: list[float] = []
    start = time.monotonic()
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(step, settings)
        crops = sampler.draw(settings.crops_per_step, 1, generator=generator)
        with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
            logits = teacher.tissue_logits(crops.images).float()
        loss = organ_loss(logits, organ_labels(crops, targets))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(teacher.network.parameters(), settings.largest_gradient)
        optimiser.step()
        losses.append(loss.item())
        if (step + 1) % 100 == 0:
            recent = sum(losses[-100:]) / 100
            print(f"organs, step {step + 1} ({time.monotonic() - start:.0f} s): loss {recent:.3f}", flush=True)
    return losses
