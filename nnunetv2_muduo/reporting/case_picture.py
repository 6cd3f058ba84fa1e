"""A case in four pictures: reference and prediction as contours on CT and PET, axial and coronal."""

from collections.abc import Callable, Sequence
from io import BytesIO

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from PIL import Image
from scipy.ndimage import find_objects

from nnunetv2_muduo.datasets.body_box import BODY_THRESHOLD_IN_HU, PADDING_IN_VOXELS, largest_component
from nnunetv2_muduo.evaluation.figures import plain_style
from nnunetv2_muduo.evaluation.scan_slices import WINDOWS, axial_and_coronal, fullest_slice, mark_sides, outline
from nnunetv2_muduo.reporting.case_files import LoadedCase

REFERENCE_COLOUR = "#00c853"
_INCHES, _DPI = 7.6, 100
_CORONAL_TALLEST = 1.5  # times as high as wide


@plain_style
def draw_case(case: LoadedCase, organs: Sequence[Sequence[int]], *, focus: Sequence[int], colour: str) -> Image.Image:
    """Draw a case; axial on top, coronal below, a column for each channel.

    Args:
        case: what to show.
        organs: the labels of each organ whose contours are drawn.
        focus: labels of the organ that the slices are chosen for: those with most of its error, else of itself.
        colour: of the prediction.
    """
    z, y = chosen_slices(case.reference, case.prediction, focus)
    whole = axial_and_coronal(z, y, case.spacing_in_mm)
    planes = {plane: (around_body(case, cut), aspect) for plane, (cut, aspect) in whole.items()}
    heights = [_height(cut(case.reference).shape, aspect) for cut, aspect in planes.values()]
    width = _INCHES / 2
    figure, axes = plt.subplots(
        2,
        len(case.images),
        figsize=(width * len(case.images), width * sum(heights) + 0.9),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for row, (plane, (cut, aspect)) in zip(axes, planes.items(), strict=True):
        for axis, (name, volume) in zip(row, case.images.items(), strict=True):
            _show(axis, cut(volume), case.modalities[name], volume, aspect)
            axis.set_title(f"{name}, {plane}", fontsize=13)
            if case.oriented:
                mark_sides(axis, plane)
            for labels in organs:
                outline(axis, mask_of(cut(case.reference), labels), REFERENCE_COLOUR)
                outline(axis, mask_of(cut(case.prediction), labels), colour)
    handles = [
        Line2D([], [], color=c, lw=2, label=w) for c, w in ((REFERENCE_COLOUR, "reference"), (colour, "predicted"))
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=13, frameon=False)
    return _rendered(figure)


def chosen_slices(reference: np.ndarray, prediction: np.ndarray, focus: Sequence[int]) -> tuple[int, int]:
    """(z, y) of the planes with most wrong voxels of an organ; without any of it, with most of all organs.

    Args:
        reference, prediction: [Z, Y, X] label maps.
        focus: labels of the organ.
    """
    masks = (mask_of(reference, focus), mask_of(prediction, focus))
    for mask in (masks[0] ^ masks[1], masks[0] | masks[1], (reference > 0) | (prediction > 0)):
        if mask.any():
            break
    return fullest_slice(mask, 0), fullest_slice(mask, 1)


def around_body(case: LoadedCase, cut: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Cut a plane out of a volume without the air around the patient, where there is a CT to tell it from."""
    ct = next((volume for name, volume in case.images.items() if case.modalities[name] == "CT"), None)
    if ct is None or not (tissue := cut(ct) > BODY_THRESHOLD_IN_HU).any():
        return cut
    seen = largest_component(tissue) | (cut(case.reference) > 0) | (cut(case.prediction) > 0)
    box = tuple(
        slice(max(0, along.start - PADDING_IN_VOXELS), along.stop + PADDING_IN_VOXELS)
        for along in find_objects(seen.astype(np.uint8))[0]
    )
    return lambda volume: cut(volume)[box]


def mask_of(labels: np.ndarray, wanted: Sequence[int]) -> np.ndarray:
    """Where a label map has one of some labels."""
    return np.logical_or.reduce([labels == label for label in wanted])


def _height(shape: tuple[int, ...], aspect: float) -> float:
    return min(_CORONAL_TALLEST, aspect * shape[0] / shape[1])


def _show(axis: Axes, picture: np.ndarray, modality: str | None, volume: np.ndarray, aspect: float) -> None:
    if modality in WINDOWS:
        grey, low, high = WINDOWS[modality]
    else:
        grey, (low, high) = "gray", np.percentile(volume, (1.0, 99.5))
    axis.imshow(picture, cmap=grey, vmin=low, vmax=max(high, low + 1e-6), aspect=aspect)
    axis.set_axis_off()


def _rendered(figure) -> Image.Image:
    with BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=_DPI)
        plt.close(figure)
        return Image.open(buffer).convert("RGB")
