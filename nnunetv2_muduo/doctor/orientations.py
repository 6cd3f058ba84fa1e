"""Are all scans of the dataset stored alike and in axial slices, as far as it matters to a training?"""

from collections.abc import Mapping
from pathlib import Path

from nnunetv2_muduo.datasets.scan_header import turns_alike
from nnunetv2_muduo.datasets.sides import left_and_right
from nnunetv2_muduo.datasets.stored_orientations import (
    REMEDY,
    lie_differently,
    lie_in_axial_slices,
    stored_orientations,
    told_orientations,
)
from nnunetv2_muduo.doctor.check import Check, ok, warn

_NAME = "orientation"


def check_orientations(raw_folder: Path, dataset_json: Mapping, *, reader: str, mirroring: bool) -> list[Check]:
    """Whether nnU-Net's reader shows all patients alike and in axial slices; no check where no header tells.

    Args:
        raw_folder: of the dataset.
        dataset_json: the content of its dataset.json.
        reader: of the plans.
        mirroring: whether patches are mirrored at random along all axes.
    """
    stored = stored_orientations(raw_folder, dataset_json["file_ending"])
    if not stored:
        return []
    found = told_orientations(stored)
    if turns_alike(reader):
        return [ok(_NAME, f"{found}; {reader} turns them alike")]
    mirrored = mirroring and not left_and_right(dataset_json["labels"])
    if lie_differently(stored.values(), mirrored=mirrored):
        return [warn(_NAME, f"scans are stored in several ways, and the network sees them so: {found}", REMEDY)]
    if not lie_in_axial_slices(stored.values()):
        told = f"scans are not stored in axial slices, which teachers and the presets' spacings count on: {found}"
        return [warn(_NAME, told, REMEDY)]
    return [ok(_NAME, found)]
