"""Arrays that blosc2 stores: whether they are whole, and parts of them, read so that damage is told by the file."""

from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.errors import UserError

_NO_INTENSITY = 1e10  # no scan holds so much, however it is normalised


def is_whole_array(file: Path) -> bool:
    """Whether a file of blosc2's is there and not cut short; what it holds is not looked at."""
    try:
        blosc2.open(str(file), mode="r")  # reads its first and its last bytes
    except (OSError, RuntimeError):
        return False
    return True


def read_part(array: Any, part: Any, file: Path, *, remedy: str) -> NDArray:
    """A part of an array that lies on the disk.

    Args:
        array: opened.
        part: as arrays are indexed.
        file: where it lies.
        remedy: for damage, in words.

    Raises:
        UserError: naming the file, where that part cannot be decompressed, or holds what is no intensity.
    """
    try:
        values = array[part]
        damage = "" if _are_intensities(values) else "it holds NaN, infinity or numbers without measure"
    except RuntimeError as error:  # blosc2's
        damage = str(error)
    if damage:
        raise UserError(f"{file} is damaged ({damage}); {remedy}.")
    return values


def _are_intensities(values: NDArray) -> bool:
    return float(np.abs(values).max(initial=0)) < _NO_INTENSITY  # a maximum with NaN is NaN
