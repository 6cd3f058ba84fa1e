"""Headers of stored scans, read without their voxels."""

from pathlib import Path

import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_grid import ScanGrid


def open_header(file: Path) -> sitk.ImageFileReader:
    """A reader that has read the header.

    Raises:
        RuntimeError: SimpleITK's, where the file cannot be read.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    return reader


def header_grid(file: Path) -> ScanGrid | None:
    """The grid of a file of any number of axes; None where it cannot be read."""
    try:
        return ScanGrid.of(open_header(file))
    except RuntimeError:
        return None
