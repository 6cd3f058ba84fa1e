"""A picture of a pseudo-labelled case: CT and PET, what was prompted and what came out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.evaluation.figures import plain_style, save_figure
from nnunetv2_muduo.evaluation.scan_slices import axial_and_coronal, fullest_slice, mark_sides, outline, show_slice
from nnunetv2_muduo.pseudo_labelling.case_quality import ABSENT, DROP, MISSING
from nnunetv2_muduo.pseudo_labelling.dual_scan import Geometry

_PAIRS = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]
_COLOURS = [*_PAIRS[::2], *_PAIRS[1::2]]  # strong ones first, then the pale ones


@plain_style
def draw_case(
    path: Path,
    ct: np.ndarray,
    pet: np.ndarray,
    prompts: np.ndarray,
    labels: np.ndarray,
    *,
    geometry: Geometry,
    organs: Mapping[str, int],
    suggestions: Mapping[str, str],
    case: str,
    oriented: bool,
) -> None:
    """One axial and one coronal slice of CT and PET, where most is labelled, seen as radiologists do.

    Args:
        path: PNG file, replaced as a whole.
        ct, pet: [Z, Y, X] in HU and SUV.
        prompts: [Z, Y, X] label map, dotted in the picture.
        labels: [Z, Y, X] label map that came out, solid in the picture, and dashed for organs to drop.
        geometry: of all.
        organs: name -> label.
        suggestions: name -> whether to keep or to drop it, and so on.
        case: its name.
        oriented: whether it is known how the patient lies, so that sides can be marked.
    """
    turn = Turn.of(geometry.direction, "LPS")
    volumes = [turn.there(volume) for volume in (ct, pet, prompts, labels)]
    spacing = turn.spacing(geometry.spacing[::-1])
    labelled = volumes[3] > 0 if labels.any() else volumes[2] > 0
    planes = axial_and_coronal(fullest_slice(labelled, 0), fullest_slice(labelled, 1), spacing)
    styles = {label: "--" if suggestions[organ] in (DROP, MISSING) else "-" for organ, label in organs.items()}
    figure, axes = plt.subplots(2, 2, figsize=(13, 13), constrained_layout=True)
    for row, (plane, (cut, aspect)) in zip(axes, planes.items(), strict=True):
        *scans, prompted, came_out = (cut(volume) for volume in volumes)
        for axis, modality, scan in zip(row, ("CT", "PET"), scans, strict=True):
            show_slice(axis, scan, modality, aspect=aspect, title=f"{modality}, {plane}")
            if oriented:
                mark_sides(axis, plane)
            _draw(axis, prompted, dict.fromkeys(styles, ":"), width=1.0)
            _draw(axis, came_out, styles, width=1.6)
    figure.legend(handles=_legend(suggestions), loc="outside lower center", ncols=4)
    figure.suptitle(f"{case}: dotted what was prompted, solid what came out, dashed what to drop")
    save_figure(figure, path)


def _draw(axis: Axes, labels: np.ndarray, styles: Mapping[int, str], *, width: float) -> None:
    for index, (organ, style) in enumerate(styles.items()):
        outline(axis, labels == organ, _COLOURS[index % len(_COLOURS)], style=style, width=width)


def _legend(suggestions: Mapping[str, str]) -> Sequence[Line2D]:
    return [
        Line2D([], [], color=_COLOURS[i % len(_COLOURS)], label=f"{organ}: {word}")
        for i, (organ, word) in enumerate(suggestions.items())
        if word != ABSENT
    ]
