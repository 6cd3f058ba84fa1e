"""Pictures of a semi-supervised training: how it goes, and what everyone sees in one patch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import matplotlib.style
import numpy as np

matplotlib.use("agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.evaluation.scan_slices import axial_and_coronal, fullest_slice, mark_sides, outline, show_slice
from nnunetv2_muduo.files import replacing

SOURCE_COLOURS = {
    "CT teacher": "tab:blue",
    "PET teacher": "tab:orange",
    "pseudo-label": "tab:green",
    "student": "tab:red",
}
SOURCE_STYLES = {"CT teacher": "-", "PET teacher": "-", "pseudo-label": "--", "student": ":"}


_SCALAR_PANELS = {  # title -> key of the log -> name of the curve; trainers log different ones
    "loss": {
        "supervised_losses": "labelled",
        "consistency_losses": "consistency",
        "generalist_losses": "generalist",
        "second_supervised_losses": "labelled, second student",
        "second_consistency_losses": "consistency, second student",
    },
    "weight of the consistency loss": {"consistency_weights": "lambda"},
    "share of voxels": {
        "certain_shares": "certain",
        "students_agree": "both students agree",
    },
    "seconds per step": {"teacher_seconds": "teachers"},
}
_ORGAN_PANELS = {
    "teacher_agreement": "agreement of the teachers (soft IoU)",
    "share_kept": "share of patches kept",
    "share_prompted": "share of patches in which the generalist was asked",
}
_MOST_NAMED = 10  # so many colours are told apart, and so long a legend leaves room
_REPORTED = ("ct_teacher", "pet_teacher", "fused", "prompt_generator", "student")

# nnU-Net's progress plot changes seaborn's style for the whole process; ours starts from matplotlib's own.
plain_style = matplotlib.style.context("default")


@plain_style
def draw_progress(path: Path, logged: Mapping[str, Sequence], organs: Sequence[str]) -> None:
    """Panels over the epochs: losses, lambda and, of what a trainer logs, shares, agreement, teacher report, seconds.

    Args:
        path: PNG file, replaced as a whole.
        logged: nnU-Net's logged lists, one value (or one per organ) an epoch.
        organs: names of the K organs.
    """
    scalars = [title for title, names in _SCALAR_PANELS.items() if any(key in logged for key in names)]
    per_organ = [key for key in _ORGAN_PANELS if key in logged]
    reported = [source for source in _REPORTED if f"report_{source}" in logged]
    panels = len(scalars) + len(per_organ) + bool(reported)
    rows = (panels + 1) // 2
    figure, grid = plt.subplots(rows, 2, figsize=(16, 5 * rows), constrained_layout=True, squeeze=False)
    axes = iter(grid.flat)
    for title in scalars:
        _draw_scalars(next(axes), logged, _SCALAR_PANELS[title], title)
    for key in per_organ:
        _draw_organs(next(axes), logged[key], organs, _ORGAN_PANELS[key])
    if reported:
        _draw_reports(next(axes), logged, reported)
    for axis in axes:
        axis.set_axis_off()
    save_figure(figure, path)


@plain_style
def draw_patch(
    path: Path,
    ct: np.ndarray,
    pet: np.ndarray,
    masks: Mapping[str, np.ndarray],
    *,
    title: str,
    spacing_in_mm: Sequence[float],
    oriented: bool,
) -> None:
    """CT and PET of one patch, coronal and axial, with everyone's contours.

    Args:
        path: PNG file, replaced as a whole.
        ct, pet: [Z, Y, X] in HU and SUV, z upwards, y to the back, x to the left.
        masks: name (a key of SOURCE_COLOURS) -> [K, Z, Y, X] bool.
        title: what patch this is.
        spacing_in_mm: (z, y, x).
        oriented: whether it is known how the patient lies, so that sides can be marked.
    """
    counts = sum((organs.any(0).astype(int) for organs in masks.values()), start=np.zeros(ct.shape, dtype=int))
    planes = axial_and_coronal(fullest_slice(counts, 0), fullest_slice(counts, 1), spacing_in_mm)
    figure, axes = plt.subplots(2, 2, figsize=(13, 13), constrained_layout=True)
    for row, (plane, (cut, aspect)) in zip(axes, planes.items(), strict=True):
        for axis, modality, volume in zip(row, ("CT", "PET"), (ct, pet), strict=True):
            show_slice(axis, cut(volume), modality, aspect=aspect, title=f"{modality}, {plane}")
            if oriented:
                mark_sides(axis, plane)
            for name, organs in masks.items():
                for mask in cut(organs):
                    outline(axis, mask, SOURCE_COLOURS[name], style=SOURCE_STYLES[name])
    handles = [Line2D([], [], color=SOURCE_COLOURS[name], ls=SOURCE_STYLES[name], label=name) for name in masks]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, len(handles)))
    figure.suptitle(title)
    save_figure(figure, path)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG under a temporary name and rename it; closes the figure."""
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=80)
    plt.close(figure)


def _finite(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    epochs = np.flatnonzero(np.isfinite(values))
    return epochs, values[epochs]


def _draw_reports(axis: Axes, logged: Mapping[str, Sequence], sources: Sequence[str]) -> None:
    for source in sources:
        epochs, values = _finite(np.array([mean_of(dice) for dice in logged[f"report_{source}"]]))
        axis.plot(epochs, values, marker="o", label=source.replace("_", " "))
    _finish(axis, "mean Dice on labelled patches", upper=1.0)


def _draw_scalars(axis: Axes, logged: Mapping[str, Sequence], names: Mapping[str, str], title: str) -> None:
    for key, name in names.items():
        if key not in logged:
            continue
        epochs, values = _finite(np.asarray(logged[key], dtype=float))
        axis.plot(epochs, values, marker=".", label=name)
    _finish(axis, title)


def _draw_organs(axis: Axes, values: Sequence, organs: Sequence[str], title: str) -> None:
    """A line an organ; of many, those that are lowest at the end have a colour and a name, the others are grey."""
    curves = {}
    for index, organ in enumerate(organs):
        curve = np.array([np.atleast_1d(np.asarray(v, dtype=float))[index % np.size(v)] for v in values])
        curves[organ] = _finite(curve)
    at_the_end = {organ: seen[-1] for organ, (_, seen) in curves.items() if len(seen)}
    lowest = sorted(at_the_end, key=at_the_end.__getitem__)[:_MOST_NAMED]
    for organ, (epochs, seen) in curves.items():
        if len(organs) <= _MOST_NAMED or organ in lowest:
            axis.plot(epochs, seen, marker=".", label=organ, zorder=2.1)
        else:
            axis.plot(epochs, seen, color="0.8", linewidth=1)
    named = "" if len(organs) <= _MOST_NAMED else f"; the {_MOST_NAMED} lowest of {len(organs)} organs at the end"
    _finish(axis, title + named, upper=1.0)


def _finish(axis: Axes, title: str, upper: float | None = None) -> None:
    axis.set(xlabel="epoch", title=title)
    if not axis.dataLim.y0 < 0:  # nnU-Net's loss falls below 0: its Dice part is minus the Dice
        axis.set_ylim(bottom=0, top=upper)
    axis.grid(alpha=0.3)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize="small")
