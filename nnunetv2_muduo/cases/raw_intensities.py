"""From nnU-Net's normalised images back to HU and SUV: raw = normalised * scale + shift, for each channel."""

from collections.abc import Sequence

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from numpy.typing import NDArray

from nnunetv2_muduo.errors import UserError

RAW_INTENSITY_KEY = "raw_intensity"  # of a case's properties: [(scale, shift) of each channel]
OUTSIDE_IS_ZERO_KEY = "outside_is_zero"  # of a case's properties: bool of each channel, see `outside_is_zero`

AIR_IN_HU = -1024.0
NO_UPTAKE_IN_SUV = 0.0

ScaleAndShift = tuple[float, float]  # raw = normalised * scale + shift

_FROM_EACH_CASE = ("ZScoreNormalization", "RescaleTo01Normalization")
_INVERTIBLE = ("CTNormalization", "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization")
_LEAST_SCALE = 1e-8  # nnU-Net divides by no less


def check_schemes(configuration: ConfigurationManager, channels: Sequence[str]) -> None:
    """Refuse plans with a normalisation that cannot be undone, before any work is done.

    Raises:
        UserError: naming the channel and the scheme.
    """
    for index, (name, scheme) in enumerate(zip(channels, configuration.normalization_schemes, strict=True)):
        try:
            _undo(scheme, _ANY_PROPERTIES, np.array([0.0, 1.0], dtype=np.float32))
        except UserError as error:
            raise UserError(f"Channel {index} ('{name}') cannot be brought back to raw intensities: {error}") from error


def needs_scan(configuration: ConfigurationManager) -> bool:
    """Whether a channel is normalised by statistics of each case, which nnU-Net does not store."""
    return any(scheme in _FROM_EACH_CASE for scheme in configuration.normalization_schemes)


def outside_is_zero(configuration: ConfigurationManager) -> list[bool]:
    """For each channel, whether nnU-Net left the region outside its nonzero mask at 0 instead of normalising it.

    There (label -1 of the preprocessed mask) the raw intensity is 0, not 0 * scale + shift.
    """
    return [
        scheme == "ZScoreNormalization" and bool(masked)
        for scheme, masked in zip(configuration.normalization_schemes, configuration.use_mask_for_norm, strict=True)
    ]


def raw_intensities_of_plans(plans: PlansManager, configuration: ConfigurationManager) -> list[ScaleAndShift]:
    """(scale, shift) of each channel where the plans alone decide them (not `needs_scan`)."""
    properties = plans.foreground_intensity_properties_per_channel
    return [
        _undo(scheme, properties.get(str(index)), None)
        for index, scheme in enumerate(configuration.normalization_schemes)
    ]


def raw_intensities_of_case(
    cropped: NDArray[np.float32], outside: NDArray, plans: PlansManager, configuration: ConfigurationManager
) -> list[ScaleAndShift]:
    """(scale, shift) of each channel of a case.

    Args:
        cropped: [C, Z, Y, X] raw intensities, transposed and cropped as in `crop_as_nnunet_does`.
        outside: [Z, Y, X] negative outside nnU-Net's nonzero mask; only read where a channel is normalised within it.
        plans: of the dataset.
        configuration: of these plans.
    """
    properties = plans.foreground_intensity_properties_per_channel
    undone = []
    for index, scheme in enumerate(configuration.normalization_schemes):
        channel = cropped[index]
        if configuration.use_mask_for_norm[index] and scheme == "ZScoreNormalization":
            channel = channel[outside >= 0]
        undone.append(_undo(scheme, properties.get(str(index)), channel))
    return undone


def crop_as_nnunet_does(
    image: NDArray[np.float32],
    labels: NDArray | None,
    bounding_box: Sequence[Sequence[int]],
    plans: PlansManager,
    configuration: ConfigurationManager,
) -> tuple[NDArray[np.float32], NDArray]:
    """The image as nnU-Net normalises it: axes in the plans' order, cropped to the nonzero region.

    Args:
        image: [C, Z, Y, X] as read.
        labels: [1, Z, Y, X] as read, None for a scan without labels; nnU-Net counts labelled voxels as inside.
        bounding_box: the case's `bbox_used_for_cropping`, which spares finding it again.
        plans: of the dataset.
        configuration: of these plans.

    Returns:
        The cropped image (a view), and [Z, Y, X] its nonzero mask, negative outside; without meaning (all inside)
        where no channel is normalised within the mask.
    """
    axes = [0, *(axis + 1 for axis in plans.transpose_forward)]
    transposed = image.transpose(axes)
    if any(outside_is_zero(configuration)):
        transposed_labels = None if labels is None else labels.transpose(axes).copy()  # nnU-Net writes into it
        cropped, outside, _ = crop_to_nonzero(transposed, transposed_labels)
        return cropped, outside[0]
    cropped = transposed[(slice(None), *(slice(*bounds) for bounds in bounding_box))]
    return cropped, np.zeros(cropped.shape[1:], dtype=np.int8)


def raw_padding(channels: int, ct_channel: int) -> tuple[float, ...]:
    """What lies outside a scan, in raw intensities: air in CT (HU), no uptake in every other channel."""
    return tuple(AIR_IN_HU if channel == ct_channel else NO_UPTAKE_IN_SUV for channel in range(channels))


_ANY_PROPERTIES = {"mean": 0.0, "std": 1.0, "percentile_00_5": -1.0, "percentile_99_5": 1.0}


def _undo(scheme: str, properties: dict | None, channel: NDArray | None) -> ScaleAndShift:
    """How to undo one of nnU-Net's normalisation schemes for one channel.

    What CTNormalization clipped (to the 0.5 and 99.5 percentiles of the foreground) stays clipped.

    Args:
        scheme: its name in the plans.
        properties: the channel's intensity properties in the plans; read for CTNormalization only.
        channel: raw voxels of the case that were normalised, in any shape; statistics are taken just as nnU-Net takes
            them. None where the plans alone decide (not `needs_scan`).

    Raises:
        UserError: for a scheme that cannot be undone, naming it, and for plans without the intensity properties.
    """
    if scheme == "NoNormalization":
        return 1.0, 0.0
    if scheme == "CTNormalization":
        if not properties or not {"mean", "std"} <= properties.keys():
            raise UserError(
                "The plans lack the foreground intensity properties of a CTNormalization channel; plan again."
            )
        return _affine(properties["std"], properties["mean"])
    if scheme not in _INVERTIBLE:
        raise UserError(
            f"The teachers need raw intensities, which cannot be recovered from {scheme}; plan with one of "
            f"{', '.join(_INVERTIBLE)}."
        )
    if channel is None:
        raise ValueError(f"{scheme} takes its statistics from each case")
    if scheme == "ZScoreNormalization":
        return _affine(channel.std(), channel.mean())
    minimum = float(channel.min())
    return _affine(float(channel.max()) - minimum, minimum)


def _affine(scale: float, shift: float) -> ScaleAndShift:
    return max(float(scale), _LEAST_SCALE), float(shift)
