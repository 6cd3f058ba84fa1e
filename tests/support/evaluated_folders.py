"""Small label maps on disk: references, and predictions with known mistakes."""

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SPACING_ZYX = (3.0, 2.0, 2.0)
DATASET = {
    "labels": {"background": 0, "liver": 1, "spleen": 2, "lesion": 3},
    "channel_names": {"0": "CT", "1": "PET"},
    "numTraining": 0,
    "file_ending": ".nii.gz",
}


def write_labels(folder: Path, case: str, labels: np.ndarray, *, spacing=SPACING_ZYX) -> Path:
    """One label map [Z, Y, X]."""
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(spacing[::-1])
    path = folder / f"{case}.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


def reference_labels() -> np.ndarray:
    """[10, 12, 14]: a liver of 4 x 4 x 4 voxels, a spleen of 2 x 4 x 3, two lesions of 2 and 1 voxels."""
    labels = np.zeros((10, 12, 14), np.uint8)
    labels[2:6, 2:6, 2:6] = 1
    labels[3:5, 2:6, 9:12] = 2
    labels[8, 8, 8:10] = labels[8, 2, 2] = 3
    return labels


def write_study(root: Path) -> tuple[Path, dict[str, Path]]:
    """Three cases with `exact` predictions and `poor` ones: the liver a voxel too high, the spleen missed in case b.

    Beside each folder of predictions lies dataset.json, as nnU-Net puts it there.
    """
    folders = {name: root / name for name in ("exact", "poor")}
    for case in ("a", "b", "c.v2 x"):
        labels = reference_labels()
        poor = labels.copy()
        poor[labels == 1] = 0
        poor[3:7, 2:6, 2:6] = 1
        if case == "b":
            poor[poor == 2] = 0
        write_labels(root / "reference", case, labels)
        write_labels(folders["exact"], case, labels)
        write_labels(folders["poor"], case, poor)
    for folder in folders.values():
        (folder / "dataset.json").write_text(json.dumps(DATASET))
    return root / "reference", folders
