"""A dataset of simulated scans in nnU-Net's raw format: channel 0 CT (HU), channel 1 PET (SUV); organs or lesions."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import SimpleITK

from nnunetv2_muduo.datasets.difficulty import USUAL, Difficulty
from nnunetv2_muduo.datasets.field_of_view import draw_field_of_view
from nnunetv2_muduo.datasets.scan_io import write_whole
from nnunetv2_muduo.datasets.simulation import simulate_visit
from nnunetv2_muduo.datasets.tissues import Tissue
from nnunetv2_muduo.files import clear_away_left_behind, write_text

ORGANS: dict[str, int] = {
    "background": 0,
    "liver": 1,
    "spleen": 2,
    "kidneys": 3,
    "heart": 4,
    "lungs": 5,
    "bladder": 6,
}
LESIONS: dict[str, int] = {"background": 0, "lesion": 1}
# group -> folders of images and labels
GROUPS: Mapping[str, tuple[str, str | None]] = {
    "labelled": ("imagesTr", "labelsTr"),
    "unlabelled": ("imagesUn", None),
    "test": ("imagesTs", "labelsTs"),
}
_LABELLED_TISSUES = (Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY, Tissue.HEART, Tissue.LUNG, Tissue.BLADDER)


def organ_labels(tissues: np.ndarray) -> np.ndarray:
    """The labels (`ORGANS`) of a tissue map, uint8 of the same shape."""
    table = np.zeros(256, np.uint8)
    table[list(_LABELLED_TISSUES)] = np.arange(1, len(_LABELLED_TISSUES) + 1)
    return table[tissues]


def write_scan(
    folder: Path,
    name: str,
    *,
    group: str,
    draw_tissues: Callable[[np.random.Generator], np.ndarray],
    seed: np.random.SeedSequence,
    spacing_in_mm: tuple[float, float, float],
    label_lesions: bool = False,
    labels_of: Callable[[np.ndarray], np.ndarray] = organ_labels,
    difficulty: Difficulty = USUAL,
) -> None:
    """Simulate one scan and write it, with its labels where the group has any; a complete scan is kept.

    Args:
        folder: `nnUNet_raw/DatasetXXX_NAME`.
        name: of the case.
        group: one of `GROUPS`.
        draw_tissues: gives the tissue map, uint8 [Z,Y,X] in LPS order.
        seed: of the person and the scan.
        spacing_in_mm: (z, y, x) of the tissue map.
        label_lesions: the labels are `LESIONS` instead of organs; the images are the same.
        labels_of: tissue map -> labels, uint8 of the same shape; those of `ORGANS` unless told.
        difficulty: of the scan.
    """
    images, labels = GROUPS[group]
    targets = [folder / images / f"{name}_{channel:04d}.nii.gz" for channel in (0, 1)]
    if labels is not None:
        targets.append(folder / labels / f"{name}.nii.gz")
    if all(target.is_file() for target in targets):
        return
    rng = np.random.default_rng(seed)
    tissues = draw_tissues(rng)
    visit = simulate_visit(tissues, spacing_in_mm=spacing_in_mm, rng=rng, difficulty=difficulty)
    label_map = visit.lesions.astype(np.uint8) if label_lesions else labels_of(tissues)
    seen = slice(None)
    if difficulty.varied_field_of_view:
        seen = draw_field_of_view(tissues, spacing_in_mm=spacing_in_mm, rng=rng)
    arrays = (np.rint(visit.ct).astype(np.int16), visit.pet, label_map)
    for target, array in zip(targets, arrays, strict=False):
        _write_image(array[seen], target, spacing_in_mm)


def finish_dataset(
    folder: Path, *, labelled: int, description: str, labels: Mapping[str, int] = MappingProxyType(ORGANS)
) -> None:
    """Write dataset.json and clear away what a killed run left."""
    written = [folder / name for names in GROUPS.values() for name in names if name is not None]
    clear_away_left_behind(*written, all_of_them=True)
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": dict(labels),
        "numTraining": labelled,
        "file_ending": ".nii.gz",
        "name": folder.name.partition("_")[2].lower() or folder.name,
        "description": description,
    }
    write_text(folder / "dataset.json", json.dumps(content, indent=2) + "\n")


def _write_image(array: np.ndarray, target: Path, spacing_in_mm: tuple[float, float, float]) -> None:
    """Write [Z,Y,X] as NIfTI."""
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in reversed(spacing_in_mm)])
    write_whole(image, target)
