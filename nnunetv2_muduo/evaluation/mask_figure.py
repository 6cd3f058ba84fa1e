"""A scan with its masks: three planes through each target."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.evaluation.figures import save_figure
from nnunetv2_muduo.evaluation.scan_slices import WINDOWS, mark_sides, outline

_MOST_ROWS = 8  # a page of small pictures helps nobody
_MARGIN_IN_MM = 60.0  # around the target
_PLANES = ("axial", "coronal", "sagittal")


def draw_masks(
    path: Path,
    scan: NDArray,
    labels: NDArray,
    *,
    names: Mapping[int, str],
    points: Mapping[int, Sequence[tuple[float, float, float, bool]]],
    spacing_in_mm: Sequence[float],
    modality: str,
    oriented: bool,
) -> None:
    """Draw a row for each target: the slices with its largest area, its contour, its points.

    Args:
        path: PNG file, replaced as a whole.
        scan: [Z, Y, X] in HU or SUV, z upwards, y to the back, x to the left.
        labels: [Z, Y, X] label map of the same grid.
        names: label -> name; at most 8 are drawn.
        points: label -> (z, y, x, foreground) in voxels; drawn in the slice nearest to them.
        spacing_in_mm: (z, y, x).
        modality: "CT" or "PET", for the grey scale.
        oriented: whether it is known how the patient lies, so that sides can be marked.
    """
    shown = list(names)[:_MOST_ROWS]
    figure, axes = plt.subplots(len(shown), 3, figsize=(12, 4 * len(shown)), squeeze=False, constrained_layout=True)
    cmap, low, high = WINDOWS[modality]
    for row, label in zip(axes, shown, strict=True):
        mask = labels == label
        middle, box = _middle_and_box(mask, points.get(label, ()), spacing_in_mm)
        for axis, (plane, panel) in enumerate(zip(_PLANES, row, strict=True)):
            across = [other for other in range(3) if other != axis]
            cut = [box[0], box[1], box[2]]
            picture, cut_mask = (np.take(v, middle[axis], axis)[tuple(cut[a] for a in across)] for v in (scan, mask))
            aspect = spacing_in_mm[across[0]] / spacing_in_mm[across[1]]
            origin = "upper" if plane == "axial" else "lower"
            panel.imshow(picture, cmap=cmap, vmin=low, vmax=high, aspect=aspect, origin=origin)
            outline(panel, cut_mask, "tab:red")
            for *position, foreground in points.get(label, ()):
                if abs(position[axis] - middle[axis]) <= 1.5:
                    up, along = (position[a] - cut[a].start for a in across)
                    panel.plot(along, up, "o" if foreground else "X", color="lime" if foreground else "orange", ms=7)
            panel.set_title(f"{names[label]}, {plane}")
            panel.set_axis_off()
            if oriented:
                mark_sides(panel, plane)
    save_figure(figure, path)


def _middle_and_box(
    mask: NDArray, points: Sequence[tuple[float, float, float, bool]], spacing_in_mm: Sequence[float]
) -> tuple[list[int], list[slice]]:
    """The slice with most of the mask along each axis (else that of the points), and what to show around the target."""
    where = np.argwhere(mask)
    if not len(where):
        where = np.array([point[:3] for point in points] if points else [[length / 2 for length in mask.shape]])
    middle, box = [], []
    for axis, length in enumerate(mask.shape):
        along = np.clip(np.rint(where[:, axis]), 0, length - 1).astype(int)
        middle.append(int(np.bincount(along).argmax()))
        margin = round(_MARGIN_IN_MM / spacing_in_mm[axis])
        box.append(slice(max(0, along.min() - margin), min(length, along.max() + margin + 1)))
    return middle, box
