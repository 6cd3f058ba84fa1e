"""Does each labelled case lie on one grid? nnU-Net goes on where only origin or direction differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_io import grid_differences
from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.doctor.unlabelled import HEADER_FORMATS, listed

_NAME = "labelled scans"


def check_labelled_grids(raw_folder: Path, dataset_json: Mapping) -> list[Check]:
    """Channels and label map of each case of imagesTr, by their headers; no check where there are none to read."""
    from nnunetv2_muduo.semisupervised.scan_checks import find_scans

    images, ending = raw_folder / "imagesTr", dataset_json["file_ending"]
    if ending not in HEADER_FORMATS or not images.is_dir():
        return []
    scans = find_scans(images, ending)[0]
    files = {case: [*channels, raw_folder / "labelsTr" / f"{case}{ending}"] for case, channels in scans.items()}
    bad = {case: problem for case, its in files.items() if (problem := grid_problem([f for f in its if f.is_file()]))}
    if bad:
        remedy = "see whether images and labels fit in a viewer, and resample one onto the other (muduo harmonise does)"
        return [warn(_NAME, f"{len(bad)} of {len(files)} lie on several grids: {listed(bad)}", remedy)]
    return [ok(_NAME, f"{len(files)}, each on one grid")] if files else []


def grid_problem(files: Sequence[Path]) -> str:
    """How the grids of a case's files differ from the first one's, as their headers have it; "" where none does."""
    try:
        first, *others = [_header(file) for file in files]
    except RuntimeError:
        return "a file cannot be read"
    for file, other in zip(files[1:], others, strict=True):
        if len(other.GetSize()) == len(first.GetSize()) == 3 and (differing := grid_differences(other, first)):
            return f"{file.parent.name}/{file.name} and {files[0].name} differ in {'; '.join(differing)}"
    return ""


def _header(file: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    return reader
