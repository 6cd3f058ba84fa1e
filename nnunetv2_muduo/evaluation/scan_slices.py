"""Slices of scans as radiologists see them, with outlines of masks: the patient upright, in true proportions."""

from collections.abc import Callable, Sequence

import matplotlib
import numpy as np

matplotlib.use("agg")
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

WINDOWS = {"CT": ("gray", -160.0, 240.0), "PET": ("gray_r", 0.0, 6.0)}  # HU, SUV
_SIDES = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}  # at the left, right, upper and lower edge
_EDGES = (  # of a panel: across, up, and how a letter is aligned there
    (0.01, 0.5, "left", "center"),
    (0.99, 0.5, "right", "center"),
    (0.5, 0.99, "center", "top"),
    (0.5, 0.01, "center", "bottom"),
)


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


def mark_sides(axis: Axes, plane: str) -> None:
    """Letters at the edges for the sides of the patient, as viewers of radiology have them.

    Args:
        axis: with a plane of a scan whose orientation is known, as `axial_and_coronal` cuts it; sagittal ones show the
            front on the left and the head on top.
        plane: "axial", "coronal" or "sagittal".
    """
    for letter, (across, up, horizontal, vertical) in zip(_SIDES[plane], _EDGES, strict=True):
        axis.text(
            across,
            up,
            letter,
            transform=axis.transAxes,
            horizontalalignment=horizontal,
            verticalalignment=vertical,
            color="white",
            path_effects=[withStroke(linewidth=2.5, foreground="black")],  # to be seen on CT and PET
        )


def outline(axis: Axes, mask: np.ndarray, colour: object, *, style: str = "-", width: float = 1.4) -> None:
    """The contour of a mask in a slice; nothing where it has none."""
    if mask.any() and not mask.all():
        axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linestyles=[style], linewidths=width)
