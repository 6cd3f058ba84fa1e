"""Everything the doctor looks at, in order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunetv2_muduo.datasets.scan_header import chosen_reader
from nnunetv2_muduo.doctor import (
    dataset,
    disk,
    folders,
    folds,
    gpu,
    host,
    intensities,
    labelled,
    labelled_cases,
    orientations,
    pretraining,
    teacher_cache,
    teachers,
    trainer,
    twins,
    unlabelled,
    versions,
    workers,
)
from nnunetv2_muduo.doctor.check import Check, Mark, fail, plans_option
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.memory.machine import host_memory
from nnunetv2_muduo.nnunet_files import OF_SCANS, OF_SCANS_AND_LABELS, read_dataset_json
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder
from nnunetv2_muduo.presets import planning_command
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.trainer_names import MUDUO, PRETRAINING


@dataclass(frozen=True)
class Subject:
    """What is examined: a dataset, and what it is to be trained with.

    Attributes:
        raw: the dataset's folder in nnUNet_raw.
        preprocessed: its folder in nnUNet_preprocessed, which need not exist.
        dataset_json: the content of its dataset.json.
        configuration: of the plans, such as 3d_fullres.
        plans_identifier: such as nnUNetPlans.
        trainer_name: one of `trainer_names.SEMI_SUPERVISED`; pretraining has an examination of its own.
    """

    raw: Path
    preprocessed: Path
    dataset_json: dict
    configuration: str
    plans_identifier: str
    trainer_name: str = MUDUO


def examine(
    dataset_name_or_id: str | None = None,
    *,
    configuration: str,
    plans_identifier: str,
    trainer_name: str = MUDUO,
    read_cases: bool = False,
) -> list[Check]:
    """Examine the installation and, if one is named, a dataset.

    Args:
        dataset_name_or_id: such as Dataset221_AutoPET or 221; None: the installation alone, with default settings.
        configuration: of the dataset's plans, such as 3d_fullres.
        plans_identifier: such as nnUNetPlans.
        trainer_name: that the dataset is for, one of `trainer_names`; pretraining needs no labels.
        read_cases: read the labelled cases, which takes seconds each, and tell which are odd.
    """
    checks = [
        *versions.check_versions(),
        *folders.check_folders(),
        *trainer.check_trainer(trainer_name),
        *workers.check_workers(),
    ]
    if any(check.mark is Mark.FAIL for check in checks if check.name in ("torch", "torchvision", "nnU-Net")):
        return checks  # nothing else could be imported
    if dataset_name_or_id is None:
        usual = Settings()
        named = {"CT": usual.ct_teacher, "PET": usual.pet_teacher}  # MuDuo's; asking it would import nnU-Net
        return [*checks, *teachers.check_teachers(named), gpu.check_gpu(None)]
    is_pretraining = trainer_name == PRETRAINING
    try:
        name = find_dataset(dataset_name_or_id)
        raw, preprocessed = nnunet_folder("nnUNet_raw") / name, nnunet_folder("nnUNet_preprocessed") / name
        needs = OF_SCANS if is_pretraining else (*OF_SCANS_AND_LABELS, "numTraining")
        dataset_json = read_dataset_json(raw / "dataset.json", needs=needs)
    except UserError as error:
        return [*checks, fail("dataset", str(error), "correct -d or nnU-Net's environment variables")]
    if is_pretraining:
        about = pretraining.examine_pretraining(raw, preprocessed, dataset_json, configuration, plans_identifier)
        return [*checks, *about]
    subject = Subject(raw, preprocessed, dataset_json, configuration, plans_identifier, trainer_name)
    return [*checks, *examine_dataset(subject, read_cases=read_cases)]


def examine_dataset(subject: Subject, *, read_cases: bool = False) -> list[Check]:
    """Examine a dataset and what its plans ask of this machine; `read_cases` as `examine` takes it."""
    from nnunetv2_muduo.cases.channels import find_channels

    raw, preprocessed, dataset_json = subject.raw, subject.preprocessed, subject.dataset_json
    plans_check, plans = dataset.check_plans(
        preprocessed, subject.plans_identifier, configuration=subject.configuration, dataset_json=dataset_json
    )
    known = dataset.planned_settings(preprocessed, subject.plans_identifier)
    settings = known or Settings()
    channels = dataset.check_channels(dataset_json, settings)
    checks = [channels, dataset.check_labels(dataset_json), plans_check]
    if (preprocessed / f"{subject.plans_identifier}.json").is_file():
        checks += dataset.check_copy(preprocessed, dataset_json, configuration=subject.configuration)
    if damaged := folds.check_splits_file(preprocessed):
        return [*checks, *damaged]  # it says which scans are unlabelled
    reader = chosen_reader(dataset_json, plans)
    checks += labelled.check_labelled_grids(raw, dataset_json, reader=reader)
    if read_cases and channels.mark is not Mark.FAIL:
        checks += labelled_cases.check_labelled_cases(raw, dataset_json, channels=find_channels(dataset_json, settings))
    checks.append(unlabelled.check_scans(raw, preprocessed, dataset_json, reader=reader))
    if known is not None:  # else nobody knows which teachers are meant
        checks += teachers.check_teachers(trainer.semi_supervised(subject.trainer_name).named_teachers(known))
    if plans is None or channels.mark is Mark.FAIL:
        return [*checks, gpu.check_gpu(None)]
    from nnunetv2_muduo.plain_configuration import naming_bad_plans

    try:
        with naming_bad_plans(plans, subject.configuration):
            planned = _examine_planned(subject, plans, settings)
    except UserError as error:
        planned = [fail("plans", str(error), planning_command(int(raw.name[7:10]), subject.plans_identifier))]
    return [*checks, *planned]


def _examine_planned(subject: Subject, plans: dict, settings: Settings) -> list[Check]:
    """What can only be told of a dataset that has plans."""
    from nnunetv2_muduo.cases.channels import channel_names

    raw, preprocessed, dataset_json = subject.raw, subject.preprocessed, subject.dataset_json
    plans_identifier = subject.plans_identifier
    context: dict[str, Any] = {
        "plans": plans,
        "configuration": subject.configuration,
        "dataset_json": dataset_json,
    }
    trainer_class = trainer.semi_supervised(subject.trainer_name)
    ready, total = unlabelled.count_fresh(raw, preprocessed, **context)
    labelled = len(dataset.labelled_cases(preprocessed, plans, subject.configuration))
    needed = disk.bytes_to_write(
        plans,
        configuration=subject.configuration,
        cases=total - ready + max(0, int(dataset_json["numTraining"]) - labelled),
        channels=len(channel_names(dataset_json)),
    )
    plan = f"muduo plan -d {int(raw.name[7:10])}{plans_option('-p', plans_identifier)}"
    checks = [
        *dataset.check_sides(dataset_json, settings, command=plan),
        *orientations.check_orientations(
            raw, dataset_json, reader=plans["image_reader_writer"], mirroring=settings.mirroring
        ),
        *twins.check_twins(raw, preprocessed, dataset_json),
        *dataset.check_preprocessed(preprocessed, plans_identifier, **context),
        *intensities.check_intensities(preprocessed, dataset_json, settings, plans_identifier=plans_identifier),
        unlabelled.judge_fresh(
            ready, total, dataset=raw.name, configuration=subject.configuration, plans_identifier=plans_identifier
        ),
    ]
    if "teacher_cache" not in trainer_class.ignored_settings:  # it distils pseudo-labels of two teachers
        checks += dataset.check_lesions(dataset_json, settings, command=plan)
        checks += teacher_cache.check_teacher_cache(raw, preprocessed, plans_identifier=plans_identifier, **context)
    return [
        *checks,
        disk.check_disk(preprocessed, needed_in_bytes=needed),
        *host.check_host(raw, available=host_memory(), trainer_class=trainer_class, **context),
        gpu.check_gpu(gpu.estimate_need(trainer_class=trainer_class, **context)),
    ]
