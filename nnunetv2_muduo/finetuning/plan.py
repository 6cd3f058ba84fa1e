"""What a fine-tuning is about, and all that follows from it: cases, network, settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from torch import nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.finetuning.recipe import RECIPES, crop_settings, training_settings
from nnunetv2_muduo.finetuning.sources import CaseSource, hold_out, labelled_cases, read_dataset
from nnunetv2_muduo.finetuning.starting_point import architecture_of, start_from_config, start_from_teacher
from nnunetv2_muduo.finetuning.targets import common_targets
from nnunetv2_muduo.teachers.crops import CropSettings
from nnunetv2_muduo.teachers.training_settings import TrainingSettings


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
        val_fraction: share of the cases of each of `datasets` that is held out, the last ones by name and all of their
            patients; none where there are `validation` datasets.
        fold: hold out the validation cases of this fold of nnU-Net's splits instead.
        val_crops: cubes drawn from the held-out cases.
        spacing_range_in_mm, flips, min_voxels: see `CropSettings`; None: the architecture's own.

    Raises:
        UserError: for a `val_fraction` or `min_voxels` that means nothing.
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

    def __post_init__(self) -> None:
        if not 0 <= self.val_fraction <= 1:
            raise UserError(f"--val-fraction is {self.val_fraction:g}; give a share of the cases, between 0 and 1.")
        if self.min_voxels is not None and self.min_voxels < 1:
            raise UserError(f"--min-voxels is {self.min_voxels}; a target needs at least one voxel to be asked for.")


@dataclass(frozen=True)
class Plan:
    """A training, checked, before anything is written.

    Attributes:
        datasets: full name -> dataset.json.
        names: of the labels to learn.
        learning, held_out: cases.
        network: to be trained.
        origin: what it starts from.
        settings: of the training.
        cubes: how they are drawn.
    """

    datasets: Mapping[str, dict]
    names: Sequence[str]
    learning: Sequence[CaseSource]
    held_out: Sequence[CaseSource]
    network: nn.Module
    origin: Mapping[str, Any]
    settings: TrainingSettings
    cubes: CropSettings

    @property
    def learnt_from(self) -> list[str]:
        """Names of the datasets that the cases to learn from belong to."""
        return list(dict.fromkeys(source.dataset for source in self.learning))


def plan_training(job: FineTuning, given: Mapping[str, Any], *, weights: Path | None = None) -> Plan:
    """Find all that a training needs; nothing is written.

    Args:
        job: what is trained on what.
        given: settings of `TrainingSettings` that differ from the architecture's recipe.
        weights: the weights folder; None: the usual one.

    Raises:
        UserError: naming what is wrong with the datasets, the labels, the teacher or the settings.
    """
    datasets = _datasets(job)
    names = common_targets(datasets, job.labels)
    learning, held_out = _divide(job, datasets)
    network, origin = _starting_point(job, int(given.get("seed", 0)), weights=weights)
    settings, cubes = _settings(job, network, cases=len(learning), given=given)
    return Plan(datasets, names, learning, held_out, network, origin, settings, cubes)


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
        place = "" if job.fold is None else f" in fold {job.fold} of splits_final.json"
        raise UserError(
            f"No case is left to learn from{place} ({len(held_out)} are held out); lower --val-fraction, give another "
            "fold with -f, or add cases."
        )
    return learning, held_out


def _starting_point(job: FineTuning, seed: int, *, weights: Path | None) -> tuple[nn.Module, dict[str, Any]]:
    if job.config is not None:
        return start_from_config(job.config, seed=seed)
    return start_from_teacher(cast(str, job.teacher), modality=job.modality, folder=weights)


def _settings(
    job: FineTuning, network: nn.Module, *, cases: int, given: Mapping[str, Any]
) -> tuple[TrainingSettings, CropSettings]:
    architecture = architecture_of(network, RECIPES)
    if not job.low_quality and given.get("cpcl", "off") != "off":
        raise UserError("--cpcl says how labels of low quality are rectified, and there are none; name them with --lq.")
    if job.low_quality:
        if given.get("scheme", "published") != "published":
            raise UserError("--lq needs --scheme published; the scheme 'mixed' has no CPCL and would trust all labels.")
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
