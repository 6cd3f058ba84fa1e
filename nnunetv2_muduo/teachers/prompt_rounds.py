"""Rounds of simulated prompting, for training a teacher and for measuring it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnunetv2_muduo.teachers.clicks import first_click, next_click, spread_clicks, stray_click
from nnunetv2_muduo.teachers.corruption import corrupt_masks
from nnunetv2_muduo.teachers.crops import Crops
from nnunetv2_muduo.teachers.protocol import PromptableTeacher

GIVEN_MASK = "given mask"  # of `prompted_dice`: what the teacher was given, not what it answered


@dataclass(frozen=True)
class PromptMix:
    """What the first prompt of a target is during training, as shares: one click, several points at once, only a mask.

    points: how many points at once; stray: how often one of them lies just outside the target; stray_reach: how far, in
    voxels. Several points at once are what the PET stream of MuDuo sends, only a mask is what its CT stream sends.
    """

    click: float = 0.35
    several: float = 0.25
    mask: float = 0.4
    points: int = 3
    stray: float = 0.3
    stray_reach: int = 3


@dataclass
class Prompts:
    """The prompts of K targets in B images so far: coords [B, K, N, 3], labels [B, K, N], masks [B, K, M, M, M]."""

    coords: Tensor
    labels: Tensor
    masks: Tensor

    def add(self, coords: Tensor, labels: Tensor) -> None:
        """Append one click for each target: coords [B*K, 3], labels [B*K]."""
        shape = self.labels.shape[:2]
        self.coords = torch.cat([self.coords, coords.unflatten(0, shape)[:, :, None]], dim=2)
        self.labels = torch.cat([self.labels, labels.unflatten(0, shape)[:, :, None]], dim=2)


def first_prompts(crops: Crops, *, mask_size: int, mix: PromptMix, generator: torch.Generator) -> Prompts:
    """A first prompt for each target, its kind drawn from the mix; unused slots carry label -1, unused masks are 0."""
    shape = crops.targets.shape[:2]
    targets, others = crops.targets.flatten(0, 1), crops.others.flatten(0, 1)
    shares = torch.tensor([mix.click, mix.several, mix.mask], dtype=torch.float32)
    kind = torch.multinomial(shares, len(targets), replacement=True, generator=generator).to(targets.device)
    coords, labels = spread_clicks(targets, mix.points, generator=generator)
    strays, outside = stray_click(targets, mix.stray_reach, generator=generator)
    astray = (torch.rand(len(targets), generator=generator).to(coords) < mix.stray) & (outside == 1) & (kind == 1)
    coords[:, -1] = torch.where(astray[:, None], strays, coords[:, -1])
    labels[kind == 0, 1:] = -1
    labels[kind == 2] = -1
    masks = coords.new_zeros(len(targets), mask_size, mask_size, mask_size)
    if (kind == 2).any():
        masks[kind == 2] = corrupt_masks(targets[kind == 2], others[kind == 2], size=mask_size, generator=generator)
    return Prompts(coords.unflatten(0, shape), labels.unflatten(0, shape), masks.unflatten(0, shape))


def click_prompts(crops: Crops, *, mask_size: int, generator: torch.Generator) -> Prompts:
    """One click inside each target and a zero mask: how every interactive session starts."""
    shape = crops.targets.shape[:2]
    coords, labels = first_click(crops.targets.flatten(0, 1), generator=generator)
    masks = coords.new_zeros(*shape, mask_size, mask_size, mask_size)
    return Prompts(coords.unflatten(0, shape)[:, :, None], labels.unflatten(0, shape)[:, :, None], masks)


def corrected_rounds(
    teacher: PromptableTeacher,
    crops: Crops,
    prompts: Prompts,
    *,
    rounds: int,
    generator: torch.Generator,
    embedding: Tensor | None = None,
) -> Iterator[Tensor]:
    """Yield the logits on the cube, [B, K, S, S, S], of each round; a click in the error region lies between rounds.

    The previous logits, detached, are the next round's mask prompt. The caller may step an optimiser between rounds,
    so each round encodes the images anew, unless their `embedding` is given.
    """
    for done in range(rounds):
        encoded = teacher.encode(crops.images) if embedding is None else embedding
        logits, _ = teacher.decode(encoded, prompts.coords, prompts.labels, prompts.masks)
        on_cube = to_cube(logits, crops.targets.shape[-1])
        yield on_cube
        if done + 1 < rounds:
            correct(prompts, crops, on_cube, generator=generator)
            prompts.masks = logits.detach()


def correct(prompts: Prompts, crops: Crops, on_cube: Tensor, *, generator: torch.Generator) -> None:
    """Add a click in the error region of the answers `on_cube` (logits [B, K, S, S, S]) to each target's prompts."""
    answers = torch.where(crops.known, on_cube.detach() > 0, crops.targets)  # nobody is wrong where nobody knows
    prompts.add(*next_click(crops.targets.flatten(0, 1), answers.flatten(0, 1), generator=generator))


def to_cube(logits: Tensor, size: int) -> Tensor:
    """Logits [B, K, M, M, M] -> [B, K, size, size, size], linearly (align_corners False, as the published teachers)."""
    if logits.shape[-1] == size:
        return logits
    return nn.functional.interpolate(logits, size=(size, size, size), mode="trilinear", align_corners=False)


def dice(predictions: Tensor, targets: Tensor) -> Tensor:
    """Dice [...] of bool masks [..., X, Y, Z]; nan where both are empty."""
    shared = (predictions & targets).flatten(-3).sum(-1)
    total = predictions.flatten(-3).sum(-1) + targets.flatten(-3).sum(-1)
    return 2 * shared / total


@torch.inference_mode()
def prompted_dice(
    teacher: PromptableTeacher, crops: Crops, *, seed: int, clicks: Sequence[int] = (1, 3, 5)
) -> dict[str, Tensor]:
    """Dice [B, K] of a teacher for each way of prompting it.

    Args:
        teacher: the teacher, in eval mode.
        crops: cubes with targets.
        seed: of the prompts.
        clicks: after how many clicks Dice is taken, in rising order.

    Returns:
        "1 click", "3 clicks" ...: clicks in the error region with the previous logits as mask; "3 points": three spread
        points at once, one of them astray in about a third of the targets; "mask": nothing but a spoiled mask; "given
        mask": that mask itself (logits > 0), what "mask" has to beat.
    """
    generator = torch.Generator().manual_seed(seed)
    size = teacher.spec.mask_size
    embedding = teacher.encode(crops.images)
    result = {}
    prompts = click_prompts(crops, mask_size=size, generator=generator)
    answers = corrected_rounds(teacher, crops, prompts, rounds=clicks[-1], generator=generator, embedding=embedding)
    for done, logits in enumerate(answers, start=1):
        if done in clicks:
            result[f"{done} click{'s' if done > 1 else ''}"] = dice((logits > 0) & crops.known, crops.targets)
    for name, mix in (("3 points", PromptMix(click=0, several=1, mask=0)), ("mask", PromptMix(0, 0, 1))):
        prompts = first_prompts(crops, mask_size=size, mix=mix, generator=generator)
        (logits,) = corrected_rounds(teacher, crops, prompts, rounds=1, generator=generator, embedding=embedding)
        result[name] = dice((logits > 0) & crops.known, crops.targets)
    given = to_cube(prompts.masks, crops.targets.shape[-1]) > 0
    result[GIVEN_MASK] = dice(given & crops.known, crops.targets)
    return result
