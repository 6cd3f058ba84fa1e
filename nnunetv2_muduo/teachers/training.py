"""Train a promptable teacher on labelled scans with simulated prompts: a recipe, read top to bottom.

Each step draws cubes with several targets each and prompts the teacher for them, by one of two schemes. "mixed" gives
every target a first prompt (a click, several points, or only a spoiled mask) and plays one to three rounds in which a
click in the error region follows, with the previous logits as mask prompt and a step of AdamW each round. "published"
is the interactive scheme of SAM-Med3D and SegAnyPET (METHODS.md, section 2), one step after all prompts of a round.
"""

import csv
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from tqdm import tqdm

from nnunetv2_muduo.checkpoint_files import fill, fill_optimizer, read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import replacing
from nnunetv2_muduo.teachers.best_weights import are_kept, keep_weights
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.parameter_groups import parameter_groups
from nnunetv2_muduo.teachers.protocol import PromptableTeacher
from nnunetv2_muduo.teachers.training_settings import TrainingSettings, differing_settings, learning_rate_at
from nnunetv2_muduo.teachers.training_steps import TrainingStep, mixed_step, published_step
from nnunetv2_muduo.teachers.validation import best_step, mean_over_targets, validate

CHECKPOINT = "training.pth"
LONGEST_UNSAVED_IN_S = 600.0  # of a training whose steps are long; a kill loses no more
_MOST_STEPS_LOST = 20  # one after the other, to losses that are not finite
STEPS: Mapping[str, TrainingStep] = {"mixed": mixed_step, "published": published_step}


@dataclass
class TrainingState:
    """What a checkpoint holds beside the weights: steps done, seconds they took, loss of each, rows of validations.

    Raises:
        TypeError: if something is of another type or number, as in a file that is no checkpoint of a training.
    """

    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        numbers = isinstance(self.losses, list) and all(type(n) in (int, float) for n in [self.seconds, *self.losses])
        whole = type(self.step) is int and self.step >= 0 and numbers and len(self.losses) == self.step
        rows = isinstance(self.validation, list) and all(map(_is_row, self.validation))
        if not (whole and math.isfinite(self.seconds) and rows):
            raise TypeError("not the state of a training")


def _is_row(row: Any) -> bool:
    """Whether it is one of `validate`, with the step and the seconds."""
    kinds = {"step": int, "seconds": int, "target": str, "prompt": str, "dice": float, "count": int}
    return isinstance(row, dict) and {name: type(value) for name, value in row.items()} == kinds


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
    device: torch.device | None = None,
    clicks: Sequence[int] = (1, 3, 5),
    validate_first: bool = False,
    log: Callable[[str], None] = print,
    after_saving: Callable[[TrainingState], None] = lambda state: None,
) -> TrainingState:
    """Train a teacher in place; continue where `folder` holds a checkpoint.

    Args:
        teacher: a network that follows `PromptableTeacher`.
        cases: raw scans with label maps.
        targets: name -> labels united to this target.
        settings: the recipe's numbers.
        crop_settings: how cubes are drawn; its size must be the teacher's.
        folder: gets `training.pth` (everything needed to resume), `losses.csv`, `validation.csv` and the weights of the
            best validation so far (`best_weights`).
        validation: cubes drawn beforehand from other cases, the same at each validation.
        step: what is done with the cubes of a step; what the settings' scheme says unless told.
        device: where the teacher is trained, and stays; None: where it is.
        clicks: after how many clicks the validation takes Dice.
        validate_first: validate before the first step, too: what a fine-tuning starts from.
        log: takes one line a validation.
        after_saving: called with the state after each save that is due by steps or by the clock.

    Returns:
        The losses and validation rows of the whole training, also what earlier runs contributed.

    Raises:
        UserError: if the checkpoint in `folder` was made with other settings, the sizes do not fit, or loss after loss
            is not finite.
    """
    take_step = step or STEPS[settings.scheme]
    _check_size(cast(PromptableTeacher, teacher), crop_settings)
    if settings.num_threads is not None:
        torch.set_num_threads(settings.num_threads)
    device = device or next(teacher.parameters()).device
    run = _begin(teacher.to(device), settings, folder)
    sampler = CropSampler(cases, targets=targets, settings=crop_settings)
    validate_now = partial(_validate_now, run, [crops.to(device) for crops in validation], clicks=clicks, log=log)
    if validate_first and run.state.step == 0 and not run.state.validation:  # unless a run stopped in its first step
        validate_now()
    started, saved = time.monotonic() - run.state.seconds, time.monotonic()
    for _ in _remaining_steps(run):
        crops = _next_crops(run, sampler).to(device)
        now = settings if run.state.step >= settings.cpcl_after else replace(settings, cpcl="off")
        run.state.losses.append(take_step(teacher, crops, run.optimiser, settings=now, generator=run.generator))
        run.state.step += 1
        run.state.seconds = time.monotonic() - started
        _check_losses(run)
        is_saved = run.is_due(settings.validate_every) and validate_now()
        if run.is_due(settings.save_every) or time.monotonic() - saved > LONGEST_UNSAVED_IN_S:
            if not is_saved:
                _save(run)
            saved = time.monotonic()
            after_saving(run.state)
    return run.state


@dataclass(frozen=True)
class _Run:
    """What a training works on from step to step, all of which is saved."""

    teacher: nn.Module
    optimiser: torch.optim.Optimizer
    generator: torch.Generator
    settings: TrainingSettings
    folder: Path
    state: TrainingState

    def is_due(self, every: int) -> bool:
        """Whether something that is done every so many steps, and at the end, is to be done now."""
        return self.state.step == self.settings.steps or self.state.step % every == 0


def _check_losses(run: _Run) -> None:
    """Raise UserError, and save nothing, where the last losses were all of no use; single ones change no weights."""
    recent = run.state.losses[-_MOST_STEPS_LOST:]
    if len(recent) == _MOST_STEPS_LOST and not any(map(math.isfinite, recent)):
        raise UserError(
            f"the last {_MOST_STEPS_LOST} losses, up to step {run.state.step}, or their gradients were not finite: "
            "look for voxels of the scans that are far from any HU or SUV, or train with a smaller learning rate or in "
            "float32, in another folder"
        )


def _check_size(teacher: PromptableTeacher, crop_settings: CropSettings) -> None:
    if crop_settings.size != teacher.spec.cube_size:
        raise UserError(f"the teacher takes {teacher.spec.cube_size}-cubes, the crops are {crop_settings.size}-cubes")


def _begin(teacher: nn.Module, settings: TrainingSettings, folder: Path) -> _Run:
    """Optimiser and generator as the settings want them, or as the folder's checkpoint left them."""
    folder.mkdir(parents=True, exist_ok=True)
    groups = parameter_groups(teacher, decoder_rate_share=settings.decoder_rate_share)
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    generator = torch.Generator().manual_seed(settings.seed)
    state = _resume(folder, teacher, optimiser, generator, settings)
    if state.validation and best_step(state.validation) == state.step and not are_kept(folder, step=state.step):
        keep_weights(folder, teacher, step=state.step)  # stopped between the two
    return _Run(teacher, optimiser, generator, settings, folder, state)


def _remaining_steps(run: _Run) -> Iterator[int]:
    """The numbers of the steps to come, under a bar; the learning rate is set for each."""
    done, settings = run.state.step, run.settings
    for number in tqdm(
        range(done, settings.steps), initial=done, total=settings.steps, unit="step", disable=not settings.progress
    ):
        for group in run.optimiser.param_groups:
            group["lr"] = learning_rate_at(number, settings) * group.get("rate_share", 1.0)
        yield number


def _next_crops(run: _Run, sampler: CropSampler) -> Crops:
    cubes = run.settings.crops_per_step * run.settings.accumulate
    return sampler.draw(cubes, run.settings.targets_per_crop, generator=run.generator)


def _validate_now(run: _Run, validation: Sequence[Crops], *, clicks: Sequence[int], log: Callable[[str], None]) -> bool:
    """Validate, where there is anything to validate on; whether that was the best so far, which is saved."""
    if not validation:
        return False
    teacher, state = cast(PromptableTeacher, run.teacher), run.state
    rows = validate(teacher, validation, bfloat16=run.settings.bfloat16, clicks=clicks)
    state.validation += [{"step": state.step, "seconds": round(state.seconds), **row} for row in rows]
    log(_summary(state, run.settings))
    is_best = best_step(state.validation) == state.step
    if is_best:
        _save(run)  # before the weights: a restart must know of the validation that they are of
        keep_weights(run.folder, run.teacher, step=state.step)
    return is_best


def _summary(state: TrainingState, settings: TrainingSettings) -> str:
    rows = [row for row in state.validation if row["step"] == state.step]
    recent = [loss for loss in state.losses[-settings.validate_every :] if math.isfinite(loss)]
    means = ", ".join(f"{prompt} {value:.3f}" for prompt, value in mean_over_targets(rows).items())
    loss = f"loss {sum(recent) / len(recent):.4f}" if recent else "nothing learnt yet"
    return f"step {state.step} ({state.seconds:.0f} s): {loss}; Dice: {means}"


def _save(run: _Run) -> None:
    """Checkpoint and tables, each written under another name first, so that a kill leaves the last good one."""
    checkpoint = {
        "model_state_dict": run.teacher.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "generator": run.generator.get_state(),
        "settings": asdict(run.settings),
        "state": asdict(run.state),
    }
    with replacing(run.folder / CHECKPOINT) as partial_file:
        torch.save(checkpoint, partial_file)
    losses = [
        {"step": step, "learning_rate": f"{learning_rate_at(step, run.settings):.3g}", "loss": f"{loss:.5f}"}
        for step, loss in enumerate(run.state.losses)
    ]
    _write_table(run.folder / "losses.csv", losses)
    _write_table(run.folder / "validation.csv", run.state.validation)


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
    checkpoint = read_checkpoint(path)
    if not isinstance(checkpoint.get("settings"), Mapping):
        raise UserError(f"{path} is no checkpoint of a training: it holds no settings; use another folder.")
    try:
        if differing := differing_settings(settings, checkpoint["settings"]):
            raise UserError(
                f"{path} was made with other {', '.join(differing)}; use the same settings or another folder"
            )
        state = TrainingState(**checkpoint["state"])
        fill(teacher, checkpoint["model_state_dict"])
        fill_optimizer(optimiser, checkpoint["optimiser"])
        generator.set_state(checkpoint["generator"])
    except UserError:
        raise
    except Exception as error:  # as torch likes it
        raise UserError(
            f"{path} is damaged, the checkpoint of another network than this {type(teacher).__name__}, or of no "
            f"training at all ({error}); use another folder"
        ) from error
    return state


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as CSV; nothing where there are none."""
    if not rows:
        return
    with replacing(path) as partial_file, partial_file.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
