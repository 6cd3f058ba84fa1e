"""Does each labelled case lie on one grid? nnU-Net goes on where origin, direction or what a header says differ."""

from collections.abc import Mapping
from pathlib import Path

import SimpleITK as sitk

from nnunetv2_muduo.cases.training_files import training_files
from nnunetv2_muduo.datasets.scan_header import open_header
from nnunetv2_muduo.datasets.scan_io import FORMATS
from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.doctor.grids import grid_problem
from nnunetv2_muduo.errors import listed_reasons

_NAME = "labelled scans"


def check_labelled_grids(raw_folder: Path, dataset_json: Mapping, *, reader: str) -> list[Check]:
    """Channels and label map of each case to train on, by their headers; no check where there are none to read.

    Args:
        raw_folder: of the dataset.
        dataset_json: the content of its dataset.json.
        reader: name of nnU-Net's reader, see `grid_problem`.
    """
    if dataset_json["file_ending"] not in FORMATS:
        return []
    files = training_files(raw_folder, dataset_json)
    problems = {
        case: grid_problem(there, reader=reader)
        for case, its in files.items()
        if (there := [file for file in (*its.images, its.label) if file.is_file()])
    }
    bad = {case: problem for case, problem in problems.items() if problem}
    if bad:
        remedy = (
            "copy what is truncated again and correct headers; where images and labels do not fit in a viewer, "
            "resample one onto the other (muduo harmonise does); then plan and preprocess again"
        )
        found = f"{len(bad)} of {len(files)} do not lie on one grid, or not for sure: {listed_reasons(bad)}"
        return [warn(_NAME, found, remedy)]
    fractions = sum(_may_hold_fractions(its.label) for its in files.values() if its.label.is_file())
    told = f"; label maps stored as fractions: {fractions}, --cases tells which hold NaN or no whole numbers"
    return [ok(_NAME, f"{len(files)}, each on one grid{told if fractions else ''}")] if files else []


def _may_hold_fractions(label: Path) -> bool:
    """By the header; nnU-Net takes NaN for background without a word."""
    return open_header(label).GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64)
