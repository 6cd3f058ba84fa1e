"""What a TIFF file cannot say itself: how large its voxels are, which nnU-Net keeps in a file beside it, and how the
patient lies in it, which nobody keeps.
"""

import re
from pathlib import Path

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import read_table

TIFF = (".tif", ".tiff")


def tiff_spacing(path: Path) -> tuple[float, ...]:
    """(x, y, z) in mm from CASE.json beside CASE.tif or CASE_0000.tif; 1 mm where there is none, as nnU-Net assumes.

    Raises:
        UserError: if that file holds no spacing.
    """
    beside = spacing_file(path)
    return (1.0, 1.0, 1.0) if beside is None else _spacing_in(beside)[::-1]


def spacing_file(path: Path) -> Path | None:
    """The file beside a TIFF that says how large its voxels are; None where there is none."""
    cases = (path.stem, re.sub(r"_\d{4}$", "", path.stem))
    return next((beside for case in cases if (beside := path.with_name(f"{case}.json")).is_file()), None)


def told_of_unknown_orientation(file_ending: str) -> str:
    """What to tell of files that do not say how the patient lies in them; "" for those that do."""
    if file_ending.lower() not in TIFF:
        return ""
    return (
        f"{file_ending} files do not say how the patient lies in them; x, y and z are taken to grow to the patient's "
        "left, back and head (LPS). Where they do not, teachers see the patient turned: convert the dataset to .nii.gz."
    )


def _spacing_in(file: Path) -> tuple[float, ...]:
    """(z, y, x) in mm."""
    given = read_table(file).get("spacing")
    try:
        spacing = tuple(map(float, given))  # type: ignore[arg-type]
        if len(spacing) == 3 and all(0 < edge < float("inf") for edge in spacing):
            return spacing
    except (TypeError, ValueError, OverflowError):
        pass
    raise UserError(
        f'{file} must hold the size of a voxel in mm, such as "spacing": [3, 2, 2] for z, y, x; correct it.'
    )
