"""Scans that are something else in one place: each must be refused by name, or be read as it is."""

from collections.abc import Callable, Iterable
from pathlib import Path

import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_io import read_intensities
from nnunetv2_muduo.errors import UserError


def misread(trials: Iterable[tuple[str, Path]], difference: Callable[[sitk.Image, Path], str]) -> tuple[list[str], int]:
    """What went wrong, and how many were read.

    Args:
        trials: what is else, and the file or folder, which the next trial may overwrite.
        difference: what another reader finds otherwise than was read; "" for nothing.
    """
    wrong, read = [], 0
    for how, path in trials:
        try:
            image = read_intensities(path)
        except UserError as error:
            if path.name not in str(error):
                wrong.append(f"{how}: names no file: {error}")
            continue
        read += 1
        if differs := difference(image, path):
            wrong.append(f"{how}: {differs}")
    return wrong, read
