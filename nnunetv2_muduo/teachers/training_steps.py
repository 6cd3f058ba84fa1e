"""What is done with the cubes of one step: the mixed scheme of the stand-ins, or the published one with CPCL."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from nnunetv2_muduo.teachers.cpcl import PUBLISHED_RECTIFIED_SHARE, Ensemble, rectified_labels
from nnunetv2_muduo.teachers.crops import Crops
from nnunetv2_muduo.teachers.descent import descend, step_clipped
from nnunetv2_muduo.teachers.prompt_rounds import (
    Prompts,
    click_prompts,
    correct,
    corrected_rounds,
    first_prompts,
    to_cube,
)
from nnunetv2_muduo.teachers.protocol import PromptableTeacher
from nnunetv2_muduo.teachers.training_losses import dice_and_cross_entropy, target_losses
from nnunetv2_muduo.teachers.training_settings import TrainingSettings


class TrainingStep(Protocol):
    """Changes the teacher with one draw of cubes; returns the loss, nan where its gradients are not finite."""

    def __call__(
        self,
        teacher: nn.Module,
        crops: Crops,
        optimiser: torch.optim.Optimizer,
        *,
        settings: TrainingSettings,
        generator: torch.Generator,
    ) -> float: ...


def mixed_step(
    teacher: nn.Module,
    crops: Crops,
    optimiser: torch.optim.Optimizer,
    *,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> float:
    """One to `max_rounds` rounds on these cubes with an optimiser step each; the mean loss of the rounds."""
    promptable = cast(PromptableTeacher, teacher)
    teacher.train()
    rounds = 1 + int(torch.randint(settings.max_rounds, (), generator=generator))
    prompts = first_prompts(crops, mask_size=promptable.spec.mask_size, mix=settings.prompts, generator=generator)
    answers = corrected_rounds(promptable, crops, prompts, rounds=rounds, generator=generator)
    losses = []
    for _ in range(rounds):
        with _precision(crops, settings):
            loss = dice_and_cross_entropy(next(answers), crops.targets, crops.known)
        losses.append(descend(loss, teacher, optimiser, largest_gradient=settings.largest_gradient))
    return sum(losses) / len(losses)


def published_step(
    teacher: nn.Module,
    crops: Crops,
    optimiser: torch.optim.Optimizer,
    *,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> float:
    """One optimiser step on the mean loss over all prompts of a round and all targets of these cubes.

    The cubes are taken `crops_per_step` at a time; their gradients add up to those of all at once.
    """
    teacher.train()
    optimiser.zero_grad(set_to_none=True)
    parts = crops.split(settings.crops_per_step)
    loss = sum(
        add_gradients(teacher, part, settings=settings, generator=generator, share=len(part.images) / len(crops.images))
        for part in parts
    )
    stepped = step_clipped(teacher, optimiser, largest_gradient=settings.largest_gradient)
    return float(loss) if stepped else float("nan")


def add_gradients(
    teacher: nn.Module, crops: Crops, *, settings: TrainingSettings, generator: torch.Generator, share: float = 1.0
) -> float:
    """Add the gradients of one published round to those there are; returns the loss, times `share` as the gradients.

    Images are encoded once. Each prompt's loss goes back to the embedding at once, which frees its decoder's memory,
    and from there through the encoder once: the gradients are those of one sum of losses.
    """
    promptable = cast(PromptableTeacher, teacher)
    doubted = settings.cpcl != "off" and crops.low_quality is not None and bool(crops.low_quality.any())
    with _precision(crops, settings):
        embedding = promptable.encode(crops.images)
    leaf = embedding.detach().float().requires_grad_()
    rectified, sent = None, None
    if doubted:  # all answers have to be known before the label is; asked again, they are the same
        with torch.no_grad(), _precision(crops, settings):
            rectified, sent = _rectify(promptable, leaf, crops, settings=settings, generator=generator)
    total = 0.0
    with _precision(crops, settings):
        answers = (
            published_round(promptable, leaf, crops, clicks=settings.clicks_per_round, generator=generator)
            if sent is None
            else _ask_again(promptable, leaf, crops, sent)
        )
        for _, logits in answers:
            blend = round_loss(logits, crops, rectified, rectified_share=settings.rectified_share)
            loss = share * blend / settings.clicks_per_round
            loss.backward()
            total += loss.item()
    if embedding.requires_grad and leaf.grad is not None:
        embedding.backward(leaf.grad.to(embedding.dtype))
    return total


def round_loss(
    logits: Tensor, crops: Crops, rectified: Tensor | None, *, rectified_share: float = PUBLISHED_RECTIFIED_SHARE
) -> Tensor:
    """Mean loss of one prompt's answers: plain on good labels, (2 L(given) + L(rectified)) / 3 on low-quality ones.

    Args:
        logits: [B, K, S, S, S].
        crops: the cubes.
        rectified: bool [B, K, S, S, S]; None: all labels are taken as they are.
        rectified_share: weight of the rectified label; the given one has the rest.
    """
    given = target_losses(logits, crops.targets, crops.known)
    if rectified is None or crops.low_quality is None:
        return given.mean()
    blended = torch.lerp(given, target_losses(logits, rectified, crops.known), rectified_share)
    return torch.where(crops.low_quality[:, None], blended, given).mean()


def published_round(
    teacher: PromptableTeacher, embedding: Tensor, crops: Crops, *, clicks: int, generator: torch.Generator
) -> Iterator[tuple[Prompts, Tensor]]:
    """Yield what is sent and the logits on the cube, [B, K, S, S, S], for each prompt of a published round.

    The first prompt is a click with a zero mask; each next one adds a click in the error region and passes the previous
    logits, detached. The last prompt, and one drawn from the third to the second last, are those logits alone, without
    any click (SAM-Med3D, arXiv 2310.15161).
    """
    alone = {clicks - 1}
    if clicks > 4:
        alone.add(2 + int(torch.randint(clicks - 3, (), generator=generator)))
    prompts = click_prompts(crops, mask_size=teacher.spec.mask_size, generator=generator)
    for number in range(clicks):
        labels = torch.full_like(prompts.labels, -1) if number in alone else prompts.labels
        sent = replace(prompts, labels=labels)
        logits, _ = teacher.decode(embedding, sent.coords, sent.labels, sent.masks)
        on_cube = to_cube(logits, crops.targets.shape[-1])
        yield sent, on_cube
        prompts.masks = logits.detach()
        if number + 2 < clicks:  # the last prompt sends no click
            correct(prompts, crops, on_cube, generator=generator)


def _precision(crops: Crops, settings: TrainingSettings) -> torch.autocast:
    """The settings' precision, for a stretch of work in which no weight changes and gradients are on or off throughout.

    Up to its end autocast keeps the weights that it has cast: as they were, and without gradients where it cast them
    without.
    """
    return torch.autocast(crops.images.device.type, torch.bfloat16, enabled=settings.bfloat16)


def _rectify(
    teacher: PromptableTeacher,
    embedding: Tensor,
    crops: Crops,
    *,
    settings: TrainingSettings,
    generator: torch.Generator,
) -> tuple[Tensor, list[Prompts]]:
    """Play a round: the labels rectified by its answers, bool [B, K, S, S, S], and the prompts that led to them."""
    ensemble, sent = Ensemble(), []
    for prompt, logits in published_round(
        teacher, embedding, crops, clicks=settings.clicks_per_round, generator=generator
    ):
        ensemble.add(torch.sigmoid(logits.float()))
        sent.append(prompt)
    rectified = rectified_labels(
        crops.targets, ensemble.mean, ensemble.variance, reading=settings.cpcl, known=crops.known
    )
    return rectified, sent


def _ask_again(
    teacher: PromptableTeacher, embedding: Tensor, crops: Crops, sent: list[Prompts]
) -> Iterator[tuple[Prompts, Tensor]]:
    """The answers to prompts that were sent before, now with gradients."""
    for prompt in sent:
        logits, _ = teacher.decode(embedding, prompt.coords, prompt.labels, prompt.masks)
        yield prompt, to_cube(logits, crops.targets.shape[-1])
