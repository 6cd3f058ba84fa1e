"""Fine-tune a promptable teacher on nnU-Net datasets, or train a small one from scratch.

Stop it whenever you like; the same call goes on where it was.
"""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.teacher_progress import draw_teacher_progress
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.finetuning.case_store import store_cases
from nnunetv2_muduo.finetuning.recipe import RECIPES, crop_settings, training_settings
from nnunetv2_muduo.finetuning.sources import CaseSource, hold_out, labelled_cases, read_dataset
from nnunetv2_muduo.finetuning.starting_point import architecture_of, start_from_config, start_from_teacher
from nnunetv2_muduo.finetuning.targets import common_targets, stored_values, target_values
from nnunetv2_muduo.finetuning.teacher_files import check_may_write, write_teacher_files
from nnunetv2_muduo.nnunet_folders import read_json
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings
from nnunetv2_muduo.teachers.training import CHECKPOINT, TrainingSettings, TrainingState, train_teacher

RECORD = "finetuning.json"  # what a folder's training is about
CLICKS = (1, 3, 5, 10)
_VALIDATION_SEED = 2031


@dataclass(frozen=True)
class FineTuning:
    """What a training is about; a folder belongs to one of these.

    Attributes:
        modality: "CT" or "PET": which channel is looked at.
        datasets: with labels to be trusted.
        low_quality: datasets whose labels are not to be trusted.
        validation: datasets that are held out as a whole; without, a part of each of `datasets` is.
        teacher: name or file of the teacher to start from; or
        config: JSON file of a configuration to start from random weights: {"architecture": ..., "config": {...}}.
        labels: names of the labels to learn; None: all.
        val_fraction: share of the cases of each of `datasets` that is held out, the last ones by name; none where there
            are `validation` datasets.
        fold: hold out the validation cases of this fold of nnU-Net's splits instead.
        val_crops: cubes drawn from the held-out cases.
        spacing_range_in_mm, flips, min_voxels: see `CropSettings`; None: the architecture's own.
    """

    modality: str
    datasets: tuple[str, ...] = ()
    low_quality: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    teacher: str | None = None
    config: Path | None = None
    labels: tuple[str, ...] | None = None
    val_fraction: float = 0.2
    fold: int | None = None
    val_crops: int = 24
    spacing_range_in_mm: tuple[float, float] | None = None
    flips: bool | None = None
    min_voxels: int | None = None


def finetune_teacher(
    job: FineTuning,
    output: Path,
    *,
    training: Mapping[str, Any] | None = None,
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
        output: gets `cases/`, `training.pth`, `losses.csv`, `validation.csv`, `progress.png`, `finetuning.log` and, at
            the end, `teacher.pth`.
        training: settings of `TrainingSettings` that differ from the architecture's recipe.
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
    given = dict(training or {})
    name = name or output.resolve().name
    run, record = _identify(output, job)
    check_may_write(name, run=run, overwrite=overwrite, folder=weights)
    datasets = _datasets(job)
    names = common_targets(datasets, job.labels)
    learning, held_out = _divide(job, datasets)
    network, origin = _starting_point(job, int(given.get("seed", 0)), weights=weights)
    settings, cubes = _settings(job, network, cases=len(learning), given=given)
    write_text(output / RECORD, json.dumps(record, indent=2) + "\n")  # now that nothing is wrong with it
    log = _logging_to(output, log)
    log(f"{len(learning)} cases to learn from, {len(held_out)} held out; labels: {', '.join(names)}")
    stored = store_cases(
        [*learning, *held_out],
        output / "cases",
        tables={dataset: stored_values(content, names) for dataset, content in datasets.items()},
        orientation=cast(Any, network).spec.orientation,
        spacing_in_mm=cubes.spacing_range_in_mm[0] / cubes.largest_anisotropy,
        workers=workers,
        progress=settings.progress,
    )
    targets = target_values(names)
    state = train_teacher(
        network,
        stored[: len(learning)],
        targets=targets,
        settings=settings,
        crop_settings=cubes,
        folder=output,
        validation=_validation_crops(stored[len(learning) :], targets, cubes, count=job.val_crops),
        device=device or torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        clicks=CLICKS,
        validate_first=True,
        log=log,
        after_saving=lambda state: draw_teacher_progress(
            output / "progress.png", losses=state.losses, validation=state.validation, title=name
        ),
    )
    learnt_from = list(dict.fromkeys(source.dataset for source in learning))
    info = _info(job, learnt_from, origin, settings=settings, state=state, run=run)
    path = write_teacher_files(network, output, name, info=info, overwrite=overwrite, folder=weights)
    log(f"Teacher '{name}' after {state.step} steps: {path}")
    return path


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
    record = read_json(output / RECORD)
    differing = [key for key, value in now.items() if record["job"].get(key) != value]
    if differing:
        raise UserError(
            f"{output} holds another training, with other {', '.join(differing)}; repeat its command to continue it, "
            "or give another folder with -o."
        )
    return record["run"], record


def _datasets(job: FineTuning) -> dict[str, dict]:
    """Full name -> dataset.json, those with trusted labels first and those held out last.

    Raises:
        UserError: if there is none to learn from, or one is given twice.
    """
    if not job.datasets and not job.low_quality:
        raise UserError("Give a dataset to learn from, with -d or --lq.")
    datasets: dict[str, dict] = {}
    for given in (*job.datasets, *job.low_quality, *job.validation):
        name, content = read_dataset(given)
        if name in datasets:
            raise UserError(f"{name} is given twice; it is of one quality, to learn from or held out: give it once.")
        datasets[name] = content
    return datasets


def _divide(job: FineTuning, datasets: Mapping[str, dict]) -> tuple[list[CaseSource], list[CaseSource]]:
    """Cases to learn from and cases held out.

    Raises:
        UserError: if nothing is left to learn from.
    """
    learning: list[CaseSource] = []
    held_out: list[CaseSource] = []
    first, second = len(job.datasets), len(job.datasets) + len(job.low_quality)
    for number, (dataset, content) in enumerate(datasets.items()):
        sources = labelled_cases(dataset, content, modality=job.modality, low_quality=first <= number < second)
        kept: list[CaseSource] = [] if number >= second else sources
        held = sources if number >= second else []
        if number < first and not job.validation:
            kept, held = hold_out(sources, fraction=job.val_fraction, fold=job.fold)
        learning += kept
        held_out += held
    if not learning:
        raise UserError(f"All {len(held_out)} cases are held out; lower --val-fraction, or add cases.")
    return learning, held_out


def _starting_point(job: FineTuning, seed: int, *, weights: Path | None) -> tuple[nn.Module, dict[str, Any]]:
    if job.config is not None:
        return start_from_config(job.config, seed=seed)
    return start_from_teacher(cast(str, job.teacher), folder=weights)


def _settings(
    job: FineTuning, network: nn.Module, *, cases: int, given: Mapping[str, Any]
) -> tuple[TrainingSettings, CropSettings]:
    architecture = architecture_of(network, RECIPES)
    if job.low_quality and given.get("scheme", "published") == "published":
        given = {"cpcl": "ensemble", **given}
    cubes = crop_settings(
        architecture,
        cast(Any, network).spec,
        modality=job.modality,
        spacing_range_in_mm=job.spacing_range_in_mm,
        flips=job.flips,
        min_voxels=job.min_voxels,
    )
    return training_settings(architecture, cases=cases, given=given), cubes


def _validation_crops(
    cases: Sequence[Any], targets: Mapping[str, tuple[int, ...]], cubes: CropSettings, *, count: int
) -> list[Crops]:
    """Cubes of the held-out cases, the same for the same cases, two at a time with four targets each, unflipped."""
    if not len(cases) or count < 1:
        return []
    sampler = CropSampler(cases, targets=targets, settings=CropSettings(**{**asdict(cubes), "flips": False}))
    generator = torch.Generator().manual_seed(_VALIDATION_SEED)
    return [sampler.draw(min(2, count - done), 4, generator=generator) for done in range(0, count, 2)]


def _info(
    job: FineTuning,
    datasets: Sequence[str],
    origin: Mapping[str, Any],
    *,
    settings: TrainingSettings,
    state: TrainingState,
    run: str,
) -> dict[str, Any]:
    """What the teacher's file says about itself."""
    return {
        "what": f"{job.modality} teacher trained from {origin['start']} on {', '.join(datasets)}",
        "modality": job.modality,
        "seed": settings.seed,
        "date": date.today().isoformat(),
        "torch": str(torch.__version__),  # a plain string: weights_only loading refuses torch's own type
        "steps": state.step,
        "seconds": round(state.seconds),
        "settings": asdict(settings),
        "from": dict(origin),
        "run": run,
    }


def _logging_to(output: Path, log: Callable[[str], None]) -> Callable[[str], None]:
    """A log that also goes to the folder's `finetuning.log`."""

    def both(line: str) -> None:
        log(line)
        with (output / "finetuning.log").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    return both
