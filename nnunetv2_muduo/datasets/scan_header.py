"""Headers of stored scans, read without their voxels, and what nnU-Net's readers make of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from nnunetv2_muduo.datasets.metaimage_header import metaimage_problem
from nnunetv2_muduo.datasets.nifti_header import has_form, nifti_problem
from nnunetv2_muduo.datasets.nrrd_header import nrrd_problem
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.tiff_spacing import TIFF

_TURNED_TO = "RAS"  # by nnU-Net's readers; which way makes no difference to comparisons


def open_header(file: Path) -> sitk.ImageFileReader:
    """A reader that has read the header.

    Raises:
        RuntimeError: SimpleITK's, where the file cannot be read.
    """
    if problem := text_header_problem(file, unpack=False):  # some end the process
        raise RuntimeError(problem)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    return reader


def text_header_problem(file: Path, *, unpack: bool) -> str | None:
    """Why a MetaImage or NRRD file cannot be read as it is, in words; None where it can, or is of another format.

    Args:
        file: which need not be there.
        unpack: look at compressed voxels, too, as `metaimage_problem` does.
    """
    return (metaimage_problem(file, unpack=unpack) or nrrd_problem(file)) if file.is_file() else None


def place_problem(file: Path, grid: ScanGrid) -> str | None:
    """Why a header cannot be trusted about where voxels lie and what they are, in words; None where it can.

    Args:
        file: of any format.
        grid: of its three axes, as SimpleITK read it.
    """
    return grid.problem() or nifti_problem(file, grid)


def header_problem(file: Path) -> str | None:
    """As `place_problem`, without reading voxels; None, too, for what SimpleITK cannot open or has not three axes.

    nnU-Net's readers choose one of the things that such a header says, without a word.
    """
    if file.suffix.lower() in TIFF:  # whose header does not say it
        return None
    try:
        grid = ScanGrid.of(open_header(file))
    except RuntimeError:
        return None
    return place_problem(file, grid) if len(grid.size) == 3 else None


def header_grid(file: Path, *, reader: str = "") -> ScanGrid | None:
    """The grid of a file of any number of axes; None where it cannot be read.

    Args:
        file: image or label map.
        reader: the grid that nnU-Net's reader of this name delivers; "": as it is stored.
    """
    try:
        grid = ScanGrid.of(open_header(file))
        return grid.oriented(_TURNED_TO) if turns_alike(reader) and len(grid.size) == 3 else grid
    except RuntimeError:
        return None


def tells_orientation(file: Path) -> bool:
    """Whether a scan that can be read says how the patient lies in it; of others SimpleITK makes LPS without a word."""
    return file.suffix.lower() not in TIFF and has_form(file)


def turns_alike(reader: str) -> bool:
    """Whether nnU-Net's reader of this name turns all scans alike, however they are stored."""
    return "Reorient" in reader


def chosen_reader(dataset_json: Mapping[str, Any], plans: Mapping[str, Any] | None = None) -> str:
    """Name of the reader that plans say or, without plans, dataset.json, which nnU-Net's planning goes by; "": none."""
    of_plans = (plans or {}).get("image_reader_writer")
    return str(of_plans or dataset_json.get("overwrite_image_reader_writer", ""))
