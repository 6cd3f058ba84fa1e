"""Fine-tune a promptable teacher on nnU-Net datasets, or train a small one from scratch.

Stop it whenever you like; the same call goes on where it was.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast

import torch

from nnunetv2_muduo.datasets.tiff_spacing import told_of_unknown_orientation
from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.evaluation.teacher_progress import draw_teacher_progress
from nnunetv2_muduo.files import clear_away_left_behind, write_text
from nnunetv2_muduo.finetuning.case_store import StoredCases, store_cases
from nnunetv2_muduo.finetuning.plan import FineTuning, Plan, plan_training
from nnunetv2_muduo.finetuning.sources import trained_by_no_fold
from nnunetv2_muduo.finetuning.targets import stored_values, target_values
from nnunetv2_muduo.finetuning.teacher_files import check_may_write, write_teacher_files
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.teachers.best_weights import BEST, load_kept
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings
from nnunetv2_muduo.teachers.training import CHECKPOINT, TrainingState, train_teacher
from nnunetv2_muduo.teachers.validation import best_step, mean_by_step
from nnunetv2_muduo.teachers.weights import weights_folder

RECORD = "finetuning.json"  # what a folder's training is about
CASES = "cases"
CLICKS = (1, 3, 5, 10)
_VALIDATION_SEED = 2031


def finetune_teacher(
    job: FineTuning,
    output: Path,
    *,
    training: Mapping[str, Any] | None = None,
    export: Literal["best", "last"] = "best",
    name: str | None = None,
    overwrite: bool = False,
    device: torch.device | None = None,
    workers: int = 2,
    weights: Path | None = None,
    log: Callable[[str], None] = print,
) -> Path:
    """Train, or go on training, and write a teacher that `load_teacher` loads by name.

    Args:
        job: what is trained on what.
        output: gets `cases/`, `training.pth`, `best.pth`, `losses.csv`, `validation.csv`, `progress.png`,
            `finetuning.log` and, at the end, `teacher.pth`.
        training: settings of `TrainingSettings` that differ from the architecture's recipe.
        export: which weights become the teacher: those of the best validation on the cases held out (mean Dice over
            targets and ways of prompting; of the start, if nothing was better), or the last. Where nothing is held out
            they are the last.
        name: of the teacher; the weights folder gets NAME.pth. None: the name of `output`.
        overwrite: whether a file of that name that another training made is replaced.
        device: where to train; None: CUDA where there is any, else the CPU.
        workers: cases read at the same time.
        weights: the weights folder; None: the usual one.
        log: takes one line at a time; all lines go to `finetuning.log` as well.

    Returns:
        The teacher's file in the weights folder.

    Raises:
        UserError: naming what is wrong with the datasets, the labels, the teacher, the settings or the folder.
    """
    name = name or output.resolve().name
    run, record = _identify(output, job)
    check_may_write(name, run=run, overwrite=overwrite, folder=weights)
    plan = plan_training(job, training or {}, weights=weights)
    record = _with_cases(record, plan, output)
    clear_away_left_behind(output, output / CASES, weights or weights_folder())
    write_text(output / RECORD, json.dumps(record, indent=2) + "\n")  # now that nothing is wrong with it
    log = _logging_to(output, log)
    log(f"{len(plan.learning)} cases to learn from, {len(plan.held_out)} held out; labels: {', '.join(plan.names)}")
    for dataset, content in plan.datasets.items():
        if told := told_of_unknown_orientation(content["file_ending"]):
            log(f"WARNING: {dataset}: {told}")
    if aside := trained_by_no_fold(plan.learning):
        log(
            f"WARNING: the splits of nnU-Net train on none of {len(aside)} of the cases to learn from "
            f"({listed(aside)}): a student of these splits would be measured on what its teacher has seen. Give its "
            "fold with -f."
        )
    stored = _store(plan, output / CASES, modality=job.modality, workers=workers)
    state = _train(plan, stored, output, val_crops=job.val_crops, title=name, device=device, log=log)
    step = _weights_of(plan, output, state, export=export, log=log)
    info = _info(job, plan, state=state, run=run, step=step)
    path = write_teacher_files(plan.network, output, name, info=info, overwrite=overwrite, folder=weights)
    log(f"Teacher '{name}' after {_which(step, state)}: {path}")
    return path


def _weights_of(
    plan: Plan, output: Path, state: TrainingState, *, export: Literal["best", "last"], log: Callable[[str], None]
) -> int:
    """Put the weights that are wanted into the network, which has the last; the step they are of."""
    best = best_step(state.validation)
    if export == "last" or best is None or best == state.step:
        return state.step
    if load_kept(output, plan.network, step=best):
        return best
    dice = mean_by_step(state.validation)
    log(
        f"WARNING: step {best} was the best on the cases held out (Dice {dice[best]:.3f}; at the end "
        f"{dice[max(dice)]:.3f}), but its weights are not in {output / BEST}: the teacher gets the last."
    )
    return state.step


def _which(step: int, state: TrainingState) -> str:
    """Which weights a teacher has, in words."""
    if step == state.step:
        return f"{step} steps"
    dice = mean_by_step(state.validation)
    compared = f"Dice {dice[step]:.3f} on the cases held out, {dice[max(dice)]:.3f} at the end"
    if step == 0:
        return f"0 of {state.step} steps, as no validation was better than that of the start ({compared})"
    return f"{step} of {state.step} steps ({compared}; --export last takes the last)"


def _store(plan: Plan, folder: Path, *, modality: str, workers: int) -> StoredCases:
    """All cases as the teacher looks at them, those to learn from first."""
    return store_cases(
        [*plan.learning, *plan.held_out],
        folder,
        tables={dataset: stored_values(content, plan.names) for dataset, content in plan.datasets.items()},
        modality=modality,
        orientation=cast(Any, plan.network).spec.orientation,
        spacing_in_mm=plan.cubes.spacing_range_in_mm[0] / plan.cubes.largest_anisotropy,
        workers=workers,
        progress=plan.settings.progress,
    )


def _train(
    plan: Plan,
    stored: StoredCases,
    output: Path,
    *,
    val_crops: int,
    title: str,
    device: torch.device | None,
    log: Callable[[str], None],
) -> TrainingState:
    """Train, or go on training; the progress is drawn whenever it is saved."""
    targets, number = target_values(plan.names), len(plan.learning)
    return train_teacher(
        plan.network,
        stored[:number],
        targets=targets,
        settings=plan.settings,
        crop_settings=plan.cubes,
        folder=output,
        validation=_validation_crops(stored[number:], targets, plan.cubes, count=val_crops),
        device=device or torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        clicks=CLICKS,
        validate_first=True,
        log=log,
        after_saving=lambda state: draw_teacher_progress(
            output / "progress.png",
            losses=state.losses,
            validation=state.validation,
            best=best_step(state.validation),
            title=title,
        ),
    )


def _identify(output: Path, job: FineTuning) -> tuple[str, dict[str, Any]]:
    """The id of the folder's training, and the record that says what it is about.

    Raises:
        UserError: if it is another's, or the job starts from nothing or from two things.
    """
    if (job.teacher is None) == (job.config is None):
        raise UserError(
            "Give either a teacher to start from (--teacher NAME) or a configuration to start from random weights "
            "(--config FILE.json), not both and not neither."
        )
    now = json.loads(json.dumps(asdict(job), default=str))
    if not (output / CHECKPOINT).exists():
        run = uuid.uuid4().hex
        return run, {"run": run, "job": now}
    if not (output / RECORD).is_file():
        raise UserError(f"{output} holds a training of something else ({CHECKPOINT}); give another folder with -o.")
    record = read_table(output / RECORD)
    if not (isinstance(record.get("job"), dict) and isinstance(record.get("run"), str)):
        raise UserError(f"{output / RECORD} does not tell what was trained there; give another folder with -o.")
    differing = [key for key, value in now.items() if record["job"].get(key) != value]
    if differing:
        raise UserError(
            f"{output} holds another training, with other {', '.join(differing)}; repeat its command to continue it, "
            "or give another folder with -o."
        )
    return record["run"], record


def _with_cases(record: dict[str, Any], plan: Plan, output: Path) -> dict[str, Any]:
    """The record, with the names of the cases.

    Raises:
        UserError: if the training had others before: old validations and new ones could not be compared.
    """
    cases = {
        "to learn from": [source.name for source in plan.learning],
        "held out": [source.name for source in plan.held_out],
    }
    before = record.get("cases", cases)  # a training of an earlier version does not tell
    if not (isinstance(before, dict) and all(isinstance(before.get(part), list) for part in cases)):
        raise UserError(f"{output / RECORD}: 'cases' does not tell what was learnt from; give another folder with -o.")
    for part, names in cases.items():
        if differing := sorted({*map(str, before[part])} ^ {*names}):
            raise UserError(
                f"{output} holds a training whose cases {part} were others ({len(before[part])}, now {len(names)}; "
                f"{differing[0]} is one that differs): bring them back, or give another folder with -o."
            )
    return {**record, "cases": cases}


def _validation_crops(
    cases: Sequence[Any], targets: Mapping[str, tuple[int, ...]], cubes: CropSettings, *, count: int
) -> list[Crops]:
    """Cubes of the held-out cases, the same for the same cases, two at a time with four targets each, unflipped."""
    if not len(cases) or count < 1:
        return []
    try:
        sampler = CropSampler(cases, targets=targets, settings=CropSettings(**{**asdict(cubes), "flips": False}))
    except UserError as error:
        raise UserError(
            f"None of the {len(cases)} cases held out shows any of: {', '.join(targets)}. Hold out others with -f, "
            "--val or --val-fraction, or measure nothing with --val-crops 0."
        ) from error
    generator = torch.Generator().manual_seed(_VALIDATION_SEED)
    return [sampler.draw(min(2, count - done), 4, generator=generator) for done in range(0, count, 2)]


def _info(job: FineTuning, plan: Plan, *, state: TrainingState, run: str, step: int) -> dict[str, Any]:
    """What the teacher's file says about itself; `step`: of its weights."""
    start, learnt_from = plan.origin["start"], ", ".join(plan.learnt_from)
    what, modality = f"{job.modality} teacher trained from {start} on {learnt_from}", job.modality
    if step == 0 < state.step:
        what = f"{start} as it was: training on the {job.modality} of {learnt_from} made it no better"
        modality = plan.origin.get("info", {}).get("modality", modality)
    return {
        "what": what,
        "modality": modality,
        "seed": plan.settings.seed,
        "date": date.today().isoformat(),
        "torch": str(torch.__version__),  # a plain string: weights_only loading refuses torch's own type
        "steps": state.step,
        "weights_of_step": step,
        "seconds": round(state.seconds),
        "settings": asdict(plan.settings),
        "from": dict(plan.origin),
        "run": run,
    }


def _logging_to(output: Path, log: Callable[[str], None]) -> Callable[[str], None]:
    """A log that also goes to the folder's `finetuning.log`."""

    def both(line: str) -> None:
        log(line)
        with (output / "finetuning.log").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    return both
