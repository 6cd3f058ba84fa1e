"""Slices of scans as radiologists see them, with outlines of masks: the patient upright, in true proportions."""

from collections.abc import Callable, Sequence

import matplotlib
import numpy as np

matplotlib.use("agg")
from matplotlib.axes import Axes

WINDOWS = {"CT": ("gray", -160.0, 240.0), "PET": ("gray_r", 0.0, 6.0)}  # HU, SUV


def fullest_slice(mask: np.ndarray, axis: int) -> int:
    """The slice along an axis [Z, Y, X] with most of a mask, or of counts; the middle one where there is nothing."""
    counts = mask.sum(axis=tuple(other for other in range(3) if other != axis))
    return int(counts.argmax()) if counts.any() else len(counts) // 2


def axial_and_coronal(
    z: int, y: int, spacing_in_mm: Sequence[float]
) -> dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]]:
    """Plane -> how it is cut out of volumes [..., Z, Y, X], and the aspect that it is shown with.

    Args:
        z, y: the slices; z upwards, y to the back, x to the left.
        spacing_in_mm: (z, y, x).
    """
    return {
        "axial": (lambda volume: volume[..., z, :, :], spacing_in_mm[1] / spacing_in_mm[2]),
        "coronal": (lambda volume: volume[..., ::-1, y, :], spacing_in_mm[0] / spacing_in_mm[2]),
    }


def show_slice(axis: Axes, picture: np.ndarray, modality: str, *, aspect: float, title: str) -> None:
    """A slice in HU ("CT") or SUV ("PET"), in the window of its modality."""
    colours, low, high = WINDOWS[modality]
    axis.imshow(picture, cmap=colours, vmin=low, vmax=high, aspect=aspect)
    axis.set_title(title)
    axis.set_axis_off()


def outline(axis: Axes, mask: np.ndarray, colour: object, *, style: str = "-", width: float = 1.4) -> None:
    """The contour of a mask in a slice; nothing where it has none."""
    if mask.any() and not mask.all():
        axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linestyles=[style], linewidths=width)
