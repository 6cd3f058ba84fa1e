"""AutoPET as it is published, in small: both layouts of scans, and organ maps."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from centre_folders import PET_GRID, a_ct, a_label, a_pet, write_case

from nnunetv2_muduo.datasets.scan_io import image_like

STUDY = "08-13-2005-NA-PET-CT Ganzkörper  primär, mit KM-1.2"


def write_release(folder: Path, studies: Mapping[str, Sequence[str]], *, label: bool = True, **images) -> Path:
    """PETCT_<patient>/<study>/{CTres,SUV,SEG}.nii.gz."""
    for patient, names in studies.items():
        for study in names:
            write_case(folder / f"PETCT_{patient}" / study, label=label, **images)
    return folder


def write_challenge(folder: Path, cases: Sequence[str], *, label: bool = True, names: Mapping | None = None) -> Path:
    """imagesTr/<case>_0000.nii.gz and _0001.nii.gz, labelsTr and dataset.json."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for case in cases:
        sitk.WriteImage(a_ct(PET_GRID), str(folder / "imagesTr" / f"{case}_0000.nii.gz"))
        sitk.WriteImage(a_pet(PET_GRID), str(folder / "imagesTr" / f"{case}_0001.nii.gz"))
        if label:
            sitk.WriteImage(a_label(PET_GRID), str(folder / "labelsTr" / f"{case}.nii.gz"))
    content = {"channel_names": names or {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def an_organ_map(*, values: int = 3) -> sitk.Image:
    """Organs 1, 2, ... as slabs along z on the PET's grid, background around; uint8."""
    array = np.zeros(tuple(reversed(PET_GRID.size)), np.uint8)
    array[1:-1, 2:-2, 2:-2] = (1 + np.arange(array.shape[0] - 2) % values)[:, None, None]
    return image_like(array, a_pet(PET_GRID))


def write_organs(folder: Path, cases: Sequence[str], *, values: int = 3) -> Path:
    """<case>.nii.gz for each case."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in cases:
        sitk.WriteImage(an_organ_map(values=values), str(folder / f"{case}.nii.gz"))
    return folder
