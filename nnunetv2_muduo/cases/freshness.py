"""Knowing whether a preprocessed scan still is what its files and the plans would give today."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.cases.preprocessed import case_files, is_whole, properties_file
from nnunetv2_muduo.cases.raw_intensities import OUTSIDE_IS_ZERO_KEY, RAW_INTENSITY_KEY
from nnunetv2_muduo.datasets.image_stamp import image_stamp
from nnunetv2_muduo.datasets.orientation import axial_axis, orientation_of
from nnunetv2_muduo.errors import UserError

FORMAT = 2  # raise it when what is stored, or what is refused, changes, so that every scan is done anew
SOURCE_KEY = "muduo_source"  # of a case's properties
BODY_LOCATIONS_KEY = "body_locations"  # likewise: [n, 3] (z, y, x) voxels of the preprocessed image
BODY_AXIS_KEY = "body_axis"  # likewise: across which axis (z, y, x) of the scan its body was looked for; 0 without one

# What nnU-Net's preprocessing depends on; patch size and network only shape how the result is stored and used.
_PLANS_KEYS = ("image_reader_writer", "transpose_forward")
PREPROCESSING_KEYS = (
    "preprocessor_name",
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
    "resampling_fn_seg",
    "resampling_fn_seg_kwargs",
)


def preprocessing_fingerprint(plans: dict, configuration: str, *, channels: tuple[int, int]) -> str:
    """A hash of everything in the plans that a preprocessed scan depends on.

    Args:
        plans: nnU-Net's plans.
        configuration: name of one of their configurations; what it inherits counts.
        channels: (CT, PET), which decide where the body is looked for.
    """
    relevant = {"format": FORMAT, "channels": list(channels), **_preprocessing_of(plans, configuration)}
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


def changed_preprocessing(before: tuple[dict, str], now: tuple[dict, str]) -> list[str]:
    """Names of everything that a preprocessed scan depends on and that differs.

    Args:
        before, now: plans and the name of one of their configurations.
    """
    then, today = _preprocessing_of(*before), _preprocessing_of(*now)
    return [key for key in then if json.dumps(then[key], sort_keys=True) != json.dumps(today[key], sort_keys=True)]


def _preprocessing_of(plans: dict, configuration: str) -> dict[str, Any]:
    plans_manager = PlansManager(plans)
    resolved = plans_manager.get_configuration(configuration).configuration
    return {
        "intensities": plans_manager.foreground_intensity_properties_per_channel,
        **{key: plans.get(key) for key in _PLANS_KEYS},
        **{key: resolved.get(key) for key in PREPROCESSING_KEYS},
    }


def source_stamp(files: Sequence[Path], fingerprint: str) -> dict:
    """What a case was made from: the plans' fingerprint and each image's stamp (`image_stamp`)."""
    return {"plans": fingerprint, "files": [image_stamp(file) for file in files]}


def read_properties(folder: Path, case: str) -> dict:
    """What nnU-Net's preprocessing, or ours, told of a case.

    Raises:
        OSError: where it is not preprocessed.
        UserError: where the file is damaged.
    """
    file = properties_file(folder, case)
    try:
        properties = load_pickle(str(file))
        if not isinstance(properties, dict):
            raise TypeError(f"it holds a {type(properties).__name__}")
    except OSError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to ask for
        raise UserError(f"{file} is damaged ({error}); preprocess the case again.") from error
    return properties


def is_fresh(folder: Path, case: str, stamp: dict) -> bool:
    """Whether `folder` holds the case, whole, made from just these sources, its body looked for in axial slices.

    Of what the arrays hold nothing is read: `read_region` does that, patch by patch.
    """
    if not all(map(is_whole, case_files(folder, case))):
        return False
    try:
        properties = read_properties(folder, case)
        axis = axial_axis(orientation_of(properties))
        made_so = properties.get(SOURCE_KEY) == stamp and body_axis(properties) == axis
        return made_so and _fit_together(folder, case, properties)
    except Exception:  # what is in damaged properties leads to whatever it happens to
        return False


def _fit_together(folder: Path, case: str, properties: Mapping[str, Any]) -> bool:
    """Whether image, mask and properties are of one scan, as far as types, shapes and ranges tell."""
    mask, image = (blosc2.open(str(file), mode="r") for file in case_files(folder, case)[::2])
    channels, *shape = image.shape
    scales_and_shifts = np.asarray(properties[RAW_INTENSITY_KEY], dtype=float)
    locations = properties[BODY_LOCATIONS_KEY]
    return bool(
        (image.dtype, mask.dtype, mask.shape) == (np.float32, np.int16, (1, *shape))
        and scales_and_shifts.shape == (channels, 2)
        and np.isfinite(scales_and_shifts).all()
        and (scales_and_shifts[:, 0] > 0).all()
        and [type(zero) for zero in properties[OUTSIDE_IS_ZERO_KEY]] == [bool] * channels
        and locations.dtype == np.int32
        and locations.shape == (len(locations), 3)
        and len(locations) > 0
        and ((locations >= 0) & (locations < shape)).all()
    )


def body_axis(properties: Mapping[str, Any]) -> int:
    """Across which axis (z, y, x) of the scan a case's body was looked for: earlier versions always took z."""
    return properties.get(BODY_AXIS_KEY, 0)
