"""Train a promptable teacher on labelled scans with simulated prompts: a recipe, read top to bottom.

Each step draws cubes with several targets each, gives every target a first prompt (a click, several points, or only a
spoiled mask), and plays one to three rounds in which a click in the error region follows, with the previous logits as
mask prompt (the interactive scheme of SAM-Med3D; METHODS.md, section 2). Loss: Dice + binary cross-entropy, a step of
AdamW each round.
"""

import csv
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from tqdm import tqdm

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.prompt_rounds import PromptMix, corrected_rounds, first_prompts, prompted_dice
from nnunetv2_muduo.teachers.protocol import PromptableTeacher

CHECKPOINT = "training.pth"
MAY_CHANGE_ON_RESUME = frozenset({"steps", "decay_share", "num_threads", "validate_every", "save_every", "progress"})


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how fast and on what a teacher is trained.

    Attributes:
        steps: draws of new cubes; each is followed by 1 to `max_rounds` optimiser steps.
        crops_per_step, targets_per_crop: B and K of a batch.
        max_rounds: the number of rounds is drawn uniformly from 1 to this.
        learning_rate, weight_decay, warmup_steps: AdamW; the rate rises linearly over the warm-up.
        decay_share: share of the steps, at the end, over which the rate falls to 0 along a cosine (1: plain cosine).
            With less than 1 a run can be stopped and lengthened without having decayed too early.
        largest_gradient: gradients are clipped to this norm.
        seed: of the drawing of cubes and prompts; the caller seeds the teacher's weights.
        num_threads: torch threads; None leaves them as they are.
        bfloat16: autocast the teacher; several times faster on a CPU that has the instructions, and on CUDA.
        validate_every, save_every: in steps.
        prompts: the mix of first prompts.
        progress: show a progress bar.
    """

    steps: int
    crops_per_step: int = 2
    targets_per_crop: int = 4
    max_rounds: int = 3
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    warmup_steps: int = 50
    decay_share: float = 1.0
    largest_gradient: float = 1.0
    seed: int = 0
    num_threads: int | None = None
    bfloat16: bool = False
    validate_every: int = 500
    save_every: int = 500
    prompts: PromptMix = field(default_factory=PromptMix)
    progress: bool = True


@dataclass
class TrainingState:
    """What a checkpoint holds beside the weights: steps done, loss of each, seconds of each validation, its Dice."""

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)


class TrainingStep(Protocol):
    """Changes the teacher with one draw of cubes; returns the loss."""

    def __call__(
        self,
        teacher: nn.Module,
        crops: Crops,
        optimiser: torch.optim.Optimizer,
        *,
        settings: TrainingSettings,
        generator: torch.Generator,
    ) -> float: ...


def train_teacher(
    teacher: nn.Module,
    cases: Sequence[TrainingCase],
    *,
    targets: Mapping[str, tuple[int, ...]],
    settings: TrainingSettings,
    crop_settings: CropSettings,
    folder: Path,
    validation: Sequence[Crops] = (),
    step: TrainingStep | None = None,
    log: Callable[[str], None] = print,
) -> TrainingState:
    """Train a teacher in place; continue where `folder` holds a checkpoint.

    Args:
        teacher: a network that follows `PromptableTeacher`.
        cases: raw scans with label maps.
        targets: name -> labels united to this target.
        settings: the recipe's numbers.
        crop_settings: how cubes are drawn; its size must be the teacher's.
        folder: gets `training.pth` (everything needed to resume), `losses.csv` and `validation.csv`.
        validation: cubes drawn beforehand from other cases, the same at each validation.
        step: what is done with the cubes of a step; `prompted_step` unless told.
        log: takes one line a validation.

    Returns:
        The losses and validation rows of the whole training, also what earlier runs contributed.

    Raises:
        UserError: if the checkpoint in `folder` was made with other settings, or the sizes do not fit.
    """
    promptable, take_step = cast(PromptableTeacher, teacher), step or prompted_step
    if crop_settings.size != promptable.spec.cube_size:
        raise UserError(
            f"the teacher takes {promptable.spec.cube_size}-cubes, the crops are {crop_settings.size}-cubes"
        )
    if settings.num_threads is not None:
        torch.set_num_threads(settings.num_threads)
    folder.mkdir(parents=True, exist_ok=True)
    optimiser = torch.optim.AdamW(teacher.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    generator = torch.Generator().manual_seed(settings.seed)
    state = _resume(folder, teacher, optimiser, generator, settings)
    sampler = CropSampler(cases, targets=targets, settings=crop_settings)

    started = time.monotonic() - state.seconds
    bar = tqdm(total=settings.steps, initial=state.step, unit="step", disable=not settings.progress)
    while state.step < settings.steps:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(state.step, settings)
        crops = sampler.draw(settings.crops_per_step, settings.targets_per_crop, generator=generator)
        state.losses.append(take_step(teacher, crops, optimiser, settings=settings, generator=generator))
        state.step += 1
        state.seconds = time.monotonic() - started
        bar.update()
        last = state.step == settings.steps
        if validation and (last or state.step % settings.validate_every == 0):
            rows = validate(promptable, validation, bfloat16=settings.bfloat16)
            state.validation += [{"step": state.step, "seconds": round(state.seconds), **row} for row in rows]
            log(_summary(state, settings))
        if last or state.step % settings.save_every == 0:
            _save(folder, teacher, optimiser, generator, settings, state)
    bar.close()
    return state


def prompted_step(
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
    losses = []
    with torch.autocast(crops.images.device.type, torch.bfloat16, enabled=settings.bfloat16):
        for logits in corrected_rounds(promptable, crops, prompts, rounds=rounds, generator=generator):
            loss = dice_and_cross_entropy(logits, crops.targets)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(teacher.parameters(), settings.largest_gradient)
            optimiser.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


def dice_and_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean soft Dice loss of the targets plus mean binary cross-entropy; logits and targets [B, K, X, Y, Z]."""
    truth = targets.float()
    probabilities = torch.sigmoid(logits.float())
    shared = (probabilities * truth).flatten(-3).sum(-1)
    total = probabilities.flatten(-3).sum(-1) + truth.flatten(-3).sum(-1)
    soft_dice = (2 * shared + 1) / (total + 1)
    return (1 - soft_dice).mean() + nn.functional.binary_cross_entropy_with_logits(logits.float(), truth)


def learning_rate_at(step: int, settings: TrainingSettings) -> float:
    """Linear warm-up, a plateau, and a cosine to 0 over the last `decay_share` of the steps."""
    warmup = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    decay_steps = max(settings.decay_share * settings.steps, 1)
    decayed = max(0.0, step - (settings.steps - decay_steps)) / decay_steps
    return settings.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * decayed))


def validate(
    teacher: PromptableTeacher, validation: Sequence[Crops], *, bfloat16: bool = False
) -> list[dict[str, Any]]:
    """Mean Dice of each target under each way of prompting (`prompted_dice`), as rows target, prompt, dice, count."""
    cast(nn.Module, teacher).eval()
    scores: dict[tuple[str, str], list[float]] = {}
    for index, crops in enumerate(validation):
        with torch.autocast(crops.images.device.type, torch.bfloat16, enabled=bfloat16):
            for prompt, values in prompted_dice(teacher, crops, seed=index).items():
                for names, row in zip(crops.names, values.tolist(), strict=True):
                    for name, value in zip(names, row, strict=True):
                        scores.setdefault((name, prompt), []).append(value)
    return [
        {"target": target, "prompt": prompt, "dice": round(sum(values) / len(values), 4), "count": len(values)}
        for (target, prompt), values in sorted(scores.items())
    ]


def mean_over_targets(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean Dice of each way of prompting, each target counting once whatever its number of cubes."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        scores.setdefault(row["prompt"], []).append(row["dice"])
    return {prompt: sum(values) / len(values) for prompt, values in scores.items()}


def _summary(state: TrainingState, settings: TrainingSettings) -> str:
    rows = [row for row in state.validation if row["step"] == state.step]
    recent = state.losses[-settings.validate_every :]
    means = ", ".join(f"{prompt} {value:.3f}" for prompt, value in mean_over_targets(rows).items())
    return f"step {state.step} ({state.seconds:.0f} s): loss {sum(recent) / len(recent):.4f}; Dice: {means}"


def _save(
    folder: Path,
    teacher: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    settings: TrainingSettings,
    state: TrainingState,
) -> None:
    """Checkpoint and tables, each written under another name first, so that a kill leaves the last good one."""
    checkpoint = {
        "model_state_dict": teacher.state_dict(),
        "optimiser": optimiser.state_dict(),
        "generator": generator.get_state(),
        "settings": asdict(settings),
        "state": asdict(state),
    }
    partial = folder / f"{CHECKPOINT}.partial"
    torch.save(checkpoint, partial)
    partial.replace(folder / CHECKPOINT)
    losses = [
        {"step": step, "learning_rate": f"{learning_rate_at(step, settings):.3g}", "loss": f"{loss:.5f}"}
        for step, loss in enumerate(state.losses)
    ]
    _write_table(folder / "losses.csv", losses)
    _write_table(folder / "validation.csv", state.validation)


def _resume(
    folder: Path,
    teacher: nn.Module,
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    settings: TrainingSettings,
) -> TrainingState:
    """Load the folder's checkpoint, if there is one, into teacher, optimiser and generator.

    Raises:
        UserError: naming the settings that differ from the checkpoint's.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return TrainingState()
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    now = asdict(settings)
    differing = sorted(
        key for key in now if key not in MAY_CHANGE_ON_RESUME and now[key] != checkpoint["settings"].get(key)
    )
    if differing:
        raise UserError(f"{path} was made with other {', '.join(differing)}; use the same settings or another folder")
    teacher.load_state_dict(checkpoint["model_state_dict"])
    optimiser.load_state_dict(checkpoint["optimiser"])
    generator.set_state(checkpoint["generator"])
    return TrainingState(**checkpoint["state"])


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as CSV; nothing where there are none."""
    if not rows:
        return
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)
