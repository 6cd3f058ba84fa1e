"""What preprocessing and predicting a scan take of the host's memory, from its shape alone.

Bytes beside those of `LIBRARIES`. Each sum follows the arrays that nnU-Net 2.8 and scikit-image hold at the same time
where they hold most; `benchmarks/memory.py` compares it with what processes really took.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape, determine_do_sep_z_and_axis
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

LIBRARIES = 600 * 1024**2  # bytes a process of nnU-Net's holds before it works; chosen knowing runs of preprocessing
_FLOAT32, _FLOAT64, _HALF = 4, 8, 2
_SPLINE_MARGIN = 12  # voxels that scipy's zoom adds on each side before it fits splines


@dataclass(frozen=True)
class ScanShape:
    """A scan before and after preprocessing.

    Attributes:
        shape: (Z, Y, X) as it lies in its file, in the axis order of the plans.
        spacing_in_mm: of the file, (z, y, x) likewise.
        new_shape: (Z, Y, X) at the spacing of the plans.
    """

    shape: tuple[int, ...]
    spacing_in_mm: tuple[float, ...]
    new_shape: tuple[int, ...]

    @classmethod
    def planned(
        cls, shape: Sequence[int], spacing_in_mm: Sequence[float], configuration: ConfigurationManager
    ) -> "ScanShape":
        """A scan that nothing is cropped from, as CT never is."""
        new_shape = compute_new_shape(list(shape), list(spacing_in_mm), configuration.spacing)
        return cls(tuple(shape), tuple(spacing_in_mm), tuple(int(edge) for edge in new_shape))

    @property
    def voxels(self) -> int:
        """Of the file."""
        return math.prod(self.shape)

    @property
    def new_voxels(self) -> int:
        """After preprocessing."""
        return math.prod(self.new_shape)


def preprocessing_bytes(scan: ScanShape, configuration: ConfigurationManager, *, channels: int) -> int:
    """One process that preprocesses an unlabelled scan; labels take a byte or two a voxel more."""
    raw_and_copy = 2 * _FLOAT32 * channels * scan.voxels
    masks = 2 * scan.voxels  # nonzero, and where to normalise
    deviation = _FLOAT32 * scan.voxels  # numpy takes the standard deviation of a copy
    if scan.shape == scan.new_shape:
        return raw_and_copy + masks + deviation
    kwargs = configuration.configuration.get("resampling_fn_data_kwargs", {})
    resampling = _resampling_bytes(scan.shape, scan.new_shape, scan, configuration, kwargs)
    in_float64 = _FLOAT64 * channels * scan.voxels
    resampled = _FLOAT32 * channels * scan.new_voxels
    return raw_and_copy + scan.voxels + in_float64 + resampled + resampling


def prediction_bytes(scan: ScanShape, *, channels: int, classes: int) -> int:
    """The process that predicts, where the logits do not fit on the GPU or there is none.

    The most is held where nnU-Net looks for infinite logits: beside them lie their absolute values and a mask.
    """
    image = _FLOAT32 * channels * scan.new_voxels
    logits_and_counts = _HALF * (classes + 1) * scan.new_voxels
    looking_for_infinity = (_HALF + 1) * classes * scan.new_voxels
    return image + logits_and_counts + looking_for_infinity


def export_bytes(scan: ScanShape, configuration: ConfigurationManager, *, classes: int, lean: bool) -> int:
    """A process that brings logits back to the scan's grid, picks the class and writes the mask.

    Args:
        scan: what was predicted.
        configuration: of the plans.
        classes: 1 + K.
        lean: as our trainers validate (`lean_export`), else as nnU-Net does, in `nnUNetv2_predict` too.
    """
    logits = _HALF * classes * scan.new_voxels
    picked = _FLOAT64 * scan.voxels  # numpy counts classes in eight bytes
    if scan.shape == scan.new_shape:
        return 2 * logits + picked  # numpy turns a copy, to have the classes last
    resampled = _HALF * classes * scan.voxels
    kwargs = configuration.configuration.get("resampling_fn_probabilities_kwargs", {})
    resampling = _resampling_bytes(scan.new_shape, scan.shape, scan, configuration, kwargs)
    if lean:
        one_class = _FLOAT64 * scan.new_voxels + _HALF * scan.voxels + resampling
        return logits + resampled + max(one_class, picked)
    while_resampling = logits + _FLOAT64 * classes * scan.new_voxels + resampled + resampling
    return max(while_resampling, logits + 2 * resampled + picked)


def _resampling_bytes(
    shape: Sequence[int], new_shape: Sequence[int], scan: ScanShape, configuration: ConfigurationManager, kwargs: dict
) -> int:
    """What resampling one channel, which is in float64 already, takes until the result is put in its place."""
    separate, axis = determine_do_sep_z_and_axis(
        kwargs.get("force_separate_z"), list(scan.spacing_in_mm), configuration.spacing
    )
    new_voxels = math.prod(new_shape)
    if separate and axis is not None:  # slice by slice, then along the axis, each voxel's coordinates in float64
        between = [old if index == axis else new for index, (old, new) in enumerate(zip(shape, new_shape, strict=True))]
        coordinates = 7 * _FLOAT64 * new_voxels if shape[axis] != new_shape[axis] else 0
        return _FLOAT64 * math.prod(between) + coordinates
    if kwargs.get("order", 3) <= 1:
        return _FLOAT64 * new_voxels
    padded = math.prod(int(edge) + 2 * _SPLINE_MARGIN for edge in np.asarray(shape))
    return 2 * _FLOAT64 * padded + _FLOAT64 * new_voxels
