"""One unlabelled scan, from its files to a preprocessed case."""

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from numpy.typing import NDArray

from nnunetv2_muduo.cases.body import sample_body_locations
from nnunetv2_muduo.cases.channels import channel_names
from nnunetv2_muduo.cases.freshness import BODY_AXIS_KEY, BODY_LOCATIONS_KEY, SOURCE_KEY, is_fresh, source_stamp
from nnunetv2_muduo.cases.preprocessed import install_case
from nnunetv2_muduo.cases.raw_intensities import (
    OUTSIDE_IS_ZERO_KEY,
    RAW_INTENSITY_KEY,
    crop_as_nnunet_does,
    outside_is_zero,
    raw_intensities_of_case,
)
from nnunetv2_muduo.cases.scan_checks import BadScanError, read_scan
from nnunetv2_muduo.datasets.orientation import axial_axis, orientation_of
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import systems_reason

NUMBER_OF_BODY_LOCATIONS = 10_000


@dataclass(frozen=True, kw_only=True)
class CaseJob:
    """What a worker needs to preprocess one scan; travels between processes.

    Attributes:
        case: the scan's name.
        files: one for each channel.
        folder: where the preprocessed case goes.
        partial_folder: where it is written first, on the same file system.
        plans: nnU-Net's plans.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        channels: (CT, PET).
        fingerprint: of the plans, see `freshness`.
    """

    case: str
    files: tuple[Path, ...]
    folder: Path
    partial_folder: Path
    plans: dict
    configuration: str
    dataset_json: dict
    channels: tuple[int, int]
    fingerprint: str


@dataclass(frozen=True)
class CaseOutcome:
    """How it went: `reason` is None for a case that is in place, else why the scan was left out."""

    case: str
    reason: str | None


def preprocess_case(job: CaseJob) -> CaseOutcome:
    """Read, check, preprocess and store one scan.

    Raises:
        UserError: when memory or disk do not suffice, which is no fault of the scan.
    """
    try:
        stamp = source_stamp(job.files, job.fingerprint)  # first: a file that changes meanwhile is stale next time
        if is_fresh(job.folder, job.case, stamp):
            return CaseOutcome(job.case, None)  # another training that started at the same time was faster
        _store(job, *_preprocess(job), stamp)
    except BadScanError as bad:
        return CaseOutcome(job.case, str(bad))
    except MemoryError as error:
        raise UserError(f"Not enough memory to preprocess {job.case}; use fewer processes (-np).") from error
    except OSError as error:
        raise UserError(
            f"Cannot preprocess {job.case} into {job.folder}: {error.strerror or error}; make room, or allow it, "
            "and run again: what is finished is kept."
        ) from error
    return CaseOutcome(job.case, None)


def _preprocess(job: CaseJob) -> tuple[NDArray, NDArray, dict]:
    """Image [C, Z, Y, X] and nonzero mask [1, Z, Y, X] (-1 outside, else 0) as nnU-Net preprocesses them."""
    plans = PlansManager(job.plans)
    configuration = plans.get_configuration(job.configuration)
    image, properties = read_scan(
        job.files,
        reader=plans.image_reader_writer_class(),
        channels=channel_names(job.dataset_json),
        file_ending=job.dataset_json["file_ending"],
    )
    preprocessor = configuration.preprocessor_class(verbose=False)
    try:
        normalised, mask, properties = preprocessor.run_case_npy(
            image, None, properties, plans, configuration, job.dataset_json
        )
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise BadScanError(f"nnU-Net's preprocessing fails on it: {error}") from error
    _add_properties(properties, image, normalised.shape[1:], job, plans, configuration)
    return normalised, mask, properties


def _add_properties(
    properties: dict,
    image: NDArray,
    new_shape: tuple[int, ...],
    job: CaseJob,
    plans: PlansManager,
    configuration: ConfigurationManager,
) -> None:
    cropped, outside = crop_as_nnunet_does(image, None, properties["bbox_used_for_cropping"], plans, configuration)
    properties[RAW_INTENSITY_KEY] = raw_intensities_of_case(cropped, outside, plans, configuration)
    properties[OUTSIDE_IS_ZERO_KEY] = outside_is_zero(configuration)
    orientation, (ct_channel, pet_channel) = orientation_of(properties), job.channels
    properties[BODY_AXIS_KEY] = axial_axis(orientation)
    properties[BODY_LOCATIONS_KEY] = sample_body_locations(
        cropped[ct_channel],
        cropped[pet_channel],
        spacing_in_mm=[properties["spacing"][axis] for axis in plans.transpose_forward],
        new_shape=new_shape,
        number=NUMBER_OF_BODY_LOCATIONS,
        generator=np.random.default_rng(zlib.crc32(job.case.encode())),
        axial_axis=axial_axis(orientation, plans.transpose_forward),
    )


def _store(job: CaseJob, image: NDArray, mask: NDArray, properties: dict, stamp: dict) -> None:
    """Write the whole case aside with nnU-Net's own writer, then put it in place."""
    properties[SOURCE_KEY] = stamp
    image = image.astype(np.float32, copy=False)
    mask = mask.astype(np.int16, copy=False)
    patch_size = tuple(PlansManager(job.plans).get_configuration(job.configuration).patch_size)
    blocks, chunks = comp_blosc2_params(image.shape, patch_size, image.itemsize)
    blocks_of_mask, chunks_of_mask = comp_blosc2_params(mask.shape, patch_size, mask.itemsize)
    with systems_reason(job.partial_folder / job.case):
        nnUNetDatasetBlosc2.save_case(
            image,
            mask,
            properties,
            str(job.partial_folder / job.case),
            chunks=chunks,
            blocks=blocks,
            chunks_seg=chunks_of_mask,
            blocks_seg=blocks_of_mask,
        )
    install_case(job.partial_folder, job.folder, job.case)
