"""A tiny labelled PET/CT dataset in nnU-Net's raw format: bright boxes, each modality shows its own organs."""

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

DATASET = "Dataset031_Boxes"
SHAPE = (20, 24, 28)  # z, y, x
LABELS = {"background": 0, "liver": 1, "spleen": 2, "bladder": 3}
BOXES = {
    "liver": (slice(4, 12), slice(5, 13), slice(3, 10)),
    "spleen": (slice(10, 14), slice(12, 18), slice(20, 25)),
}
SPACING_IN_MM = (4.0, 4.0, 4.0)


def label_map() -> np.ndarray:
    """uint8 [Z, Y, X]; there is no bladder."""
    labels = np.zeros(SHAPE, np.uint8)
    for organ, box in BOXES.items():
        labels[box] = LABELS[organ]
    return labels


def write_clickable_dataset(
    raw: Path,
    *,
    cases: int = 2,
    split: str = "Tr",
    labels: dict | None = None,
    label_maps: dict[str, np.ndarray] | None = None,
    orientation: str = "LPS",
    channel_names: dict[str, str] | None = None,
) -> Path:
    """Write the dataset into nnUNet_raw: CT shows both organs, PET the spleen only.

    Args:
        raw: nnUNet_raw.
        cases: so many, called box_0, box_1, ..., each moved by a voxel against the one before.
        split: Tr or Ts.
        labels: instead of LABELS.
        label_maps: instead of `label_map`, by case.
        orientation: of the files' axes.
        channel_names: instead of CT and PET.
    """
    folder = raw / DATASET
    for kind in ("images", "labels"):
        (folder / f"{kind}{split}").mkdir(parents=True, exist_ok=True)
    for number in range(cases):
        name = f"box_{number}"
        organs = np.roll(label_map(), number, axis=2)
        given = (label_maps or {}).get(name, organs)
        ct = np.where(organs > 0, 100, 1).astype(np.int16)
        pet = np.where(organs == LABELS["spleen"], 9.0, 0.5).astype(np.float32)
        _write(ct, folder / f"images{split}" / f"{name}_0000.nii.gz", orientation)
        _write(pet, folder / f"images{split}" / f"{name}_0001.nii.gz", orientation)
        _write(given, folder / f"labels{split}" / f"{name}.nii.gz", orientation)
    content = {
        "channel_names": channel_names or {"0": "CT", "1": "PET"},
        "labels": labels or LABELS,
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def _write(array: np.ndarray, path: Path, orientation: str) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(tuple(reversed(SPACING_IN_MM)))
    sitk.WriteImage(sitk.DICOMOrient(image, orientation), str(path))
