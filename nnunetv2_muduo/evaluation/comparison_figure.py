"""Draws a comparison: Dice per organ as bars with the single cases on them, and one test case with contours."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nnunetv2_muduo.evaluation.comparison import Comparison, method_colours
from nnunetv2_muduo.evaluation.figures import plain_style, save_figure
from nnunetv2_muduo.evaluation.scan_slices import WINDOWS, fullest_slice, mark_sides, show_slice


@plain_style
def draw_comparison(
    path: Path,
    comparison: Comparison,
    *,
    ct: np.ndarray,
    pet: np.ndarray,
    label_maps: Mapping[str, np.ndarray],
    aspect: float,
    case: str,
) -> None:
    """Bars on top; below, the coronal slice with most labels: the reference and each method on CT, and the PET.

    Args:
        path: PNG file, replaced as a whole.
        comparison: what `compare_predictions` returned.
        ct, pet: [Z, Y, X] of one test case in HU and SUV, z upwards, y to the back, x to the left.
        label_maps: "reference" and each method -> [Z, Y, X] integer labels of that case.
        aspect: z spacing over x spacing.
        case: its name.
    """
    columns = len(label_maps) + 1
    figure = plt.figure(figsize=(4.2 * columns, 12), constrained_layout=True)
    grid = figure.add_gridspec(2, columns, height_ratios=(1, 1.6))
    _draw_bars(figure.add_subplot(grid[0, :]), comparison)
    y = fullest_slice(label_maps["reference"] > 0, 1)
    for column, (name, labels) in enumerate(label_maps.items()):
        axis = figure.add_subplot(grid[1, column])
        show_slice(axis, ct[::-1, y], "CT", aspect=aspect, title=f"{name}, case {case}")
        overlay = np.ma.masked_equal(labels[::-1, y], 0)
        axis.imshow(overlay, cmap="tab10", vmin=0, vmax=10, alpha=0.55, aspect=aspect, interpolation="nearest")
        mark_sides(axis, "coronal")
    axis = figure.add_subplot(grid[1, columns - 1])
    show_slice(axis, pet[::-1, y], "PET", aspect=aspect, title="PET, SUV {1:g} to {2:g}".format(*WINDOWS["PET"]))
    mark_sides(axis, "coronal")
    save_figure(figure, path)


def _draw_bars(axis: Axes, comparison: Comparison) -> None:
    colours = method_colours(list(comparison.dice))
    width = 0.8 / len(colours)
    positions = np.arange(len(comparison.organs))
    for index, (method, colour) in enumerate(colours.items()):
        left = positions + (index - (len(colours) - 1) / 2) * width
        axis.bar(left, comparison.mean_per_organ(method), width=0.95 * width, color=colour)
        for position, values in zip(left, comparison.dice[method].T, strict=True):
            axis.plot(np.full(len(values), position), values, "k.", markersize=4, alpha=0.6)
    axis.set_xticks(positions, comparison.organs)
    axis.set(ylim=(0, 1), ylabel="Dice", title="Dice per organ on the test cases (bars: mean, dots: cases)")
    handles = [Line2D([], [], color=colour, lw=8, label=method) for method, colour in colours.items()]
    axis.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(handles))  # bars reach everywhere
