"""Tiny labelled nnU-Net raw datasets with two boxes in each scan, in any orientation."""

import json
from pathlib import Path

import numpy as np
import SimpleITK

LABELS = {"background": 0, "liver": 1, "spleen": 2}


def write_dataset(
    raw: Path,
    name: str,
    *,
    cases: int = 3,
    labels: dict | None = None,
    channels: tuple[str, ...] = ("CT", "PET"),
    orientations: tuple[str, ...] = ("LPS", "RAS", "PIR"),
    spacing_in_mm: float = 8.0,
    seed: int = 0,
) -> Path:
    """Write a dataset of 24-voxel scans: liver (on the right, HU 60), spleen (on the left, HU 120), soft tissue."""
    folder = raw / name
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(cases):
        marks = np.zeros((24, 22, 20), np.uint8)  # (z, y, x) in LPS: x grows to the left
        marks[6:16, 6:16, 3:9] = 1
        marks[8:16, 8:16, 13:18] = 2
        ct = 20 + 40 * (marks == 1) + 100 * (marks == 2) + rng.normal(0, 5, marks.shape)
        ct[:2] = -1000
        pet = 0.5 + 2 * (marks == 1) + 5 * (marks == 2) + rng.uniform(0, 0.1, marks.shape)
        images = {f"imagesTr/case{number}_{i:04d}": a for i, a in enumerate((ct, pet)[: len(channels)])}
        for file, array in {**images, f"labelsTr/case{number}": marks}.items():
            image = SimpleITK.GetImageFromArray(array.astype(np.uint8 if array is marks else np.float32))
            image.SetSpacing([spacing_in_mm] * 3)
            image = SimpleITK.DICOMOrient(image, orientations[number % len(orientations)])
            SimpleITK.WriteImage(image, str(folder / f"{file}.nii.gz"))
    content = {
        "channel_names": {str(i): channel for i, channel in enumerate(channels)},
        "labels": labels or LABELS,
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder
