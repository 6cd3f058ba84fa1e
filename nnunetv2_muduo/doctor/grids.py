"""Do the files of a case lie on one grid, and can their headers be trusted about it?"""

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_muduo.datasets.nifti_checks import is_truncated_nifti
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.scan_header import header_grid, header_problem, text_header_problem
from nnunetv2_muduo.datasets.scan_io import grid_differences


def grid_problem(files: Sequence[Path], *, reader: str) -> str:
    """What headers say is wrong with a case's files, or how their grids differ from the first one's; "" for nothing.

    Args:
        files: of the case.
        reader: name of nnU-Net's reader: what it turns alike does not differ.
    """
    first: ScanGrid | None = None
    for file in files:
        if problem := _problem(file):
            return f"{file.parent.name}/{file.name} {problem}"
        grid = header_grid(file, reader=reader)
        if grid is None:
            return f"{file.parent.name}/{file.name} cannot be read"
        first = first or grid
        if differing := grid_differences(grid, first):
            return f"{file.parent.name}/{file.name} and {files[0].name} differ in {'; '.join(differing)}"
    return ""


def _problem(file: Path) -> str | None:
    """What nnU-Net's readers pass over."""
    if is_truncated_nifti(file):
        return "is truncated"
    if problem := text_header_problem(file, unpack=False):
        return f"cannot be read: {problem}"
    problem = header_problem(file)
    return f"cannot be trusted: {problem}" if problem else None
