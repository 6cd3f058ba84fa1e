"""Do the files of a case lie on one grid?"""

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_muduo.datasets.scan_header import header_grid
from nnunetv2_muduo.datasets.scan_io import grid_differences


def grid_problem(files: Sequence[Path], *, reader: str) -> str:
    """How the grids of a case's files differ from the first one's, as their headers have it; "" where none does.

    Args:
        files: of the case.
        reader: name of nnU-Net's reader: what it turns alike does not differ.
    """
    first, *others = [header_grid(file, reader=reader) for file in files]
    for file, other in zip(files[1:], others, strict=True):
        if first is None or other is None:
            return "a file cannot be read"
        if differing := grid_differences(other, first):
            return f"{file.parent.name}/{file.name} and {files[0].name} differ in {'; '.join(differing)}"
    return "a file cannot be read" if first is None else ""
