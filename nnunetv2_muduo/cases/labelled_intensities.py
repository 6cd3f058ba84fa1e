"""How to get labelled cases back to HU and SUV: nnU-Net preprocesses them and does not store it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets
from tqdm import tqdm

from nnunetv2_muduo.cases.channels import channel_names
from nnunetv2_muduo.cases.freshness import preprocessing_fingerprint, read_properties
from nnunetv2_muduo.cases.preprocessed import properties_file
from nnunetv2_muduo.cases.raw_intensities import (
    ScaleAndShift,
    check_schemes,
    crop_as_nnunet_does,
    needs_scan,
    outside_is_zero,
    raw_intensities_of_case,
    raw_intensities_of_plans,
)
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.json_files import is_number, table_or_nothing
from nnunetv2_muduo.worker_pool import run_jobs


@dataclass(frozen=True)
class _CaseJob:
    case: str
    images: tuple[str, ...]
    labels: str
    properties: Path
    plans: dict
    configuration: str


def labelled_raw_intensities(
    identifiers: Sequence[str],
    *,
    plans: dict,
    configuration: str,
    dataset_json: dict,
    raw_folder: Path,
    preprocessed_folder: Path,
    num_processes: int = 1,
    log: Callable[[str], object] = print,
) -> dict[str, list[ScaleAndShift]]:
    """(scale, shift) of each channel of labelled cases: raw = normalised * scale + shift (HU, SUV).

    Where every channel's normalisation is in the plans, nothing is read. Else each case's raw scan is read once; the
    result is kept beside the preprocessed folders until nnU-Net preprocesses the case again.

    Args:
        identifiers: names of the cases.
        plans: nnU-Net's plans.
        configuration: name of one of their configurations, which is preprocessed.
        dataset_json: nnU-Net's dataset.json.
        raw_folder: of the dataset, holds imagesTr and labelsTr.
        preprocessed_folder: of the dataset.
        num_processes: scans in work at the same time.
        log: takes what is worth telling.

    Raises:
        UserError: for a normalisation that cannot be undone, a case that is not preprocessed, a missing raw scan, one
            that nnU-Net's reader finds NaN or infinite voxels in.
    """
    plans_manager = PlansManager(plans)
    configuration_manager = plans_manager.get_configuration(configuration)
    check_schemes(configuration_manager, channel_names(dataset_json))
    if not needs_scan(configuration_manager):
        undone = raw_intensities_of_plans(plans_manager, configuration_manager)
        return {case: list(undone) for case in identifiers}
    name = configuration_manager.data_identifier
    preprocessed = preprocessed_folder / name
    cache_file = preprocessed_folder / f"{name}_labelled_raw_intensities.json"
    fingerprint = preprocessing_fingerprint(plans, configuration, channels=(-1, -1))  # the body plays no part here
    stamps = {case: [fingerprint, *_stamp(properties_file(preprocessed, case))] for case in identifiers}
    cache = _read_cache(cache_file)
    missing = [case for case in identifiers if cache.get(case, {}).get("stamp") != stamps[case]]
    if missing:
        log(f"Reading {len(missing)} labelled scan(s) once to find back to raw intensities")
        files = _raw_files(missing, raw_folder, dataset_json)
        jobs = [
            _CaseJob(case, *files[case], properties_file(preprocessed, case), plans, configuration) for case in missing
        ]
        for case, undone in _undo_cases(jobs, num_processes=num_processes):
            cache[case] = {"stamp": stamps[case], "raw_intensity": undone}
        write_text(cache_file, json.dumps(cache, indent=1) + "\n")
    return {case: [(scale, shift) for scale, shift in cache[case]["raw_intensity"]] for case in identifiers}


def _undo_cases(jobs: Sequence[_CaseJob], *, num_processes: int) -> Iterable:
    results = run_jobs(_undo_case, jobs, num_processes=num_processes)
    return tqdm(results, total=len(jobs), desc="Reading labelled scans")


def _undo_case(job: _CaseJob) -> tuple[str, list[ScaleAndShift]]:
    plans = PlansManager(job.plans)
    configuration = plans.get_configuration(job.configuration)
    reader = plans.image_reader_writer_class()
    try:
        image, _ = reader.read_images(job.images)
        labels = reader.read_seg(job.labels)[0] if any(outside_is_zero(configuration)) else None
    except (RuntimeError, OSError, ValueError) as error:
        raise UserError(f"The labelled scan {job.case} cannot be read: {error}") from error
    if len(image) != len(configuration.normalization_schemes):
        raise UserError(_missing(f"A channel beside {job.images[0]}", job.case))
    if odd := int(image.size - np.count_nonzero(np.isfinite(image))):
        raise UserError(
            f"The labelled scan {job.case} holds {odd} voxel(s) that are NaN or infinite, which spoil all that nnU-Net "
            "made of it; replace them in the raw scan and run nnUNetv2_plan_and_preprocess again."
        )
    bounding_box = read_properties(job.properties.parent, job.case)["bbox_used_for_cropping"]
    cropped, outside = crop_as_nnunet_does(image, labels, bounding_box, plans, configuration)
    return job.case, raw_intensities_of_case(cropped, outside, plans, configuration)


def _stamp(properties: Path) -> list[int]:
    """Size and time of change (in ns) of what nnU-Net wrote when it preprocessed the case."""
    try:
        status = properties.stat()
    except FileNotFoundError as error:
        raise UserError(
            f"The labelled case {properties.stem} is not preprocessed: {properties} is missing; "
            "run nnUNetv2_preprocess for this configuration."
        ) from error
    return [status.st_size, status.st_mtime_ns]


def _read_cache(cache_file: Path) -> dict[str, dict]:
    """What is kept, case by case; a damaged file, or what is damaged in it, counts for nothing."""
    return {case: kept for case, kept in table_or_nothing(cache_file).items() if _is_whole(kept)}


def _is_whole(kept: Any) -> bool:
    """Whether an entry of the cache has a stamp and a pair of numbers for each channel."""
    pairs = kept.get("raw_intensity") if isinstance(kept, dict) and "stamp" in kept else None
    return isinstance(pairs, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(map(is_number, pair)) for pair in pairs
    )


def _raw_files(cases: Sequence[str], raw_folder: Path, dataset_json: dict) -> Mapping[str, tuple[tuple[str, ...], str]]:
    """Images and labels of each case, all of them there."""
    try:
        dataset = get_filenames_of_train_images_and_targets(str(raw_folder), deepcopy(dataset_json))
    except FileNotFoundError as error:
        raise UserError(_missing(str(error.filename), cases[0])) from error
    files = {}
    for case in cases:
        if case not in dataset or not dataset[case]["images"]:
            raise UserError(_missing(f"a scan in {raw_folder / 'imagesTr'}", case))
        images, labels = tuple(dataset[case]["images"]), dataset[case]["label"]
        for file in (*images, labels):
            if not Path(file).is_file():
                raise UserError(_missing(file, case))
        files[case] = (images, labels)
    return files


def _missing(what: str, case: str) -> str:
    return (
        f"{what} is missing, and the labelled case {case} was normalised by its own statistics, which only the raw "
        "scan tells; put the scan back under nnUNet_raw (it is read once)."
    )
