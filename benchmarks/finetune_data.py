"""Simulated scans of `standin_pool.py` as datasets in nnU-Net's raw format: ten organs, CT and PET, 8 mm, LPS."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
from standin_pool import SPACING_IN_MM, TARGETS
from tqdm import tqdm

from nnunetv2_muduo.files import replacing, write_text


def write_raw_dataset(folder: Path, scans: Sequence[Path]) -> None:
    """Write scans (.npz of CT, PET and tissues) as a raw dataset; files that are there are kept.

    Args:
        folder: `nnUNet_raw/DatasetXXX_NAME`.
        scans: what `phantom_cases` and `anatomy_cases` return.
    """
    for scan in tqdm(scans, desc=folder.name, unit="scan"):
        files = {
            "CT": folder / "imagesTr" / f"{scan.stem}_0000.nii.gz",
            "PET": folder / "imagesTr" / f"{scan.stem}_0001.nii.gz",
            "labels": folder / "labelsTr" / f"{scan.stem}.nii.gz",
        }
        if all(file.is_file() for file in files.values()):
            continue
        with np.load(scan) as arrays:
            contents = {"CT": np.rint(arrays["CT"]).astype(np.int16), "PET": arrays["PET"].astype(np.float32)}
            contents["labels"] = organ_numbers(arrays["labels"])
        for what, file in files.items():
            image = SimpleITK.GetImageFromArray(contents[what])
            image.SetSpacing(SPACING_IN_MM[::-1])
            with replacing(file) as partial:
                SimpleITK.WriteImage(image, str(partial), useCompression=True)
    content = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, **{name: number for number, name in enumerate(TARGETS, start=1)}},
        "numTraining": len(scans),
        "file_ending": ".nii.gz",
    }
    write_text(folder / "dataset.json", json.dumps(content, indent=2) + "\n")


def organ_numbers(tissues: np.ndarray) -> np.ndarray:
    """Tissues -> 1 for the first of `TARGETS`, 2 for the second ..., 0 for all else; uint8."""
    table = np.zeros(256, np.uint8)
    for number, members in enumerate(TARGETS.values(), start=1):
        table[list(members)] = number
    return table[tissues]
