"""Whether the files of a case lie on one grid, from their headers alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_muduo.datasets.nifti_checks import is_truncated_nifti
from nnunetv2_muduo.datasets.nifti_header import nifti_problem
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.datasets.scan_header import open_header
from nnunetv2_muduo.datasets.scan_io import SKEWED, grid_differences, is_skewed
from nnunetv2_muduo.errors import UserError

ENDING = ".nii.gz"  # of all files of AutoPET


class UnreadableError(UserError):
    """A file that is missing or damaged, and may be whole one day; in place of what its header would tell."""


@dataclass(frozen=True)
class Comparison:
    """Files of a case beside its PET.

    Attributes:
        are_plain: their grids are one to the last digit, so that none needs a change.
        differences: role -> how its grid differs from the PET's beyond rounding.
    """

    are_plain: bool
    differences: dict[str, str]


def compare_headers(files: Mapping[str, Path]) -> Comparison:
    """Read the headers of a case.

    Args:
        files: role -> .nii.gz file; "PET" is one of the roles.

    Raises:
        UnreadableError: if a file is missing, truncated or damaged.
        UserError: if one is no 3d image, its axes are not at right angles, or its header says two things.
    """
    grids = {role: _grid(file) for role, file in files.items()}
    pet = grids["PET"]
    differences = {
        role: "; ".join(differing) for role, grid in grids.items() if (differing := grid_differences(grid, pet))
    }
    plain = all(grid.is_exactly(pet) for grid in grids.values())
    return Comparison(plain, differences)


def _grid(file: Path) -> ScanGrid:
    if not file.is_file():
        raise UnreadableError(f"{file} is missing; copy it again")
    if is_truncated_nifti(file):
        raise UnreadableError(f"{file.name} is truncated; copy it again")
    try:
        reader = open_header(file)
    except RuntimeError as error:
        if is_skewed(error):
            raise UserError(f"{file.name} cannot be read as an image: {SKEWED}") from error
        raise UnreadableError(f"{file.name} cannot be read as an image; copy it again") from error
    size = reader.GetSize()
    if reader.GetNumberOfComponents() != 1 or len(size) != 3:  # a fourth axis of length 1 ITK does not mention
        raise UserError(f"{file.name} is no 3d image of one channel but {' x '.join(map(str, size))}")
    grid = ScanGrid.of(reader)
    if problem := grid.problem() or nifti_problem(file, grid):
        raise UserError(f"{file.name} cannot be trusted: {problem}; correct its header, or write it again")
    return grid
