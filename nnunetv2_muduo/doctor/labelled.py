"""Does each labelled case lie on one grid? nnU-Net goes on where only origin or direction differ."""

from collections.abc import Mapping
from pathlib import Path

from nnunetv2_muduo.datasets.scan_io import FORMATS
from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.doctor.grids import grid_problem
from nnunetv2_muduo.doctor.unlabelled import listed

_NAME = "labelled scans"


def check_labelled_grids(raw_folder: Path, dataset_json: Mapping, *, reader: str) -> list[Check]:
    """Channels and label map of each case of imagesTr, by their headers; no check where there are none to read.

    Args:
        raw_folder: of the dataset.
        dataset_json: the content of its dataset.json.
        reader: name of nnU-Net's reader, see `grid_problem`.
    """
    from nnunetv2_muduo.semisupervised.scan_checks import find_scans

    images, ending = raw_folder / "imagesTr", dataset_json["file_ending"]
    if ending not in FORMATS or not images.is_dir():
        return []
    scans = find_scans(images, ending)[0]
    files = {case: [*channels, raw_folder / "labelsTr" / f"{case}{ending}"] for case, channels in scans.items()}
    problems = {
        case: grid_problem([file for file in its if file.is_file()], reader=reader) for case, its in files.items()
    }
    bad = {case: problem for case, problem in problems.items() if problem}
    if bad:
        remedy = "see whether images and labels fit in a viewer, and resample one onto the other (muduo harmonise does)"
        return [warn(_NAME, f"{len(bad)} of {len(files)} lie on several grids: {listed(bad)}", remedy)]
    return [ok(_NAME, f"{len(files)}, each on one grid")] if files else []
