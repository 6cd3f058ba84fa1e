"""Whether the slices of a DICOM series are one volume: ITK puts them at even distances, whatever their places are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.slice_tags import numbers_in
from nnunetv2_muduo.errors import UserError

_UNEVEN = 0.1  # of the distance between slices
_TURNED = 1e-3  # of direction cosines, beyond rounding
_TILTED = 0.01  # of the way from the first slice to the last, that it leads aside
_DECIMALS = 3  # of millimetres: slices that are nearer to each other lie in one place


def check_slices(positions: Sequence[str], orientations: Sequence[str], folder: Path) -> None:
    """Refuse slices that ITK would put where they do not belong.

    Args:
        positions: of each slice, in their order, what its tag ImagePositionPatient says ("x\\y\\z" in mm).
        orientations: what ImageOrientationPatient says, the direction cosines of rows and columns. Where one of the
            slices says nothing, of either tag, what depends on it is not looked at.
        folder: of the series, for messages.

    Raises:
        UserError: for slices that are not parallel, lie in one place, are not evenly spaced or shifted against each
            other (a tilted gantry).
    """
    if len(positions) < 2:
        return
    directions = _numbers(orientations, 6)
    if directions is not None:
        _check_parallel(directions, folder)
    places = _numbers(positions, 3)
    if places is None:
        return
    _check_apart(places, folder)
    _check_evenly_spaced(places, folder)
    if directions is not None:
        _check_upright(places, directions[0], folder)


def _numbers(texts: Sequence[str], length: int) -> NDArray[np.float64] | None:
    """What tags of so many numbers say, [slice, number]; None where one of them does not."""
    rows = [numbers_in(text, length) for text in texts]
    return None if None in rows else np.array(rows)


def _check_parallel(directions: NDArray, folder: Path) -> None:
    turned = np.abs(directions - np.median(directions, axis=0)).max(axis=1) > _TURNED
    if number := int(np.count_nonzero(turned)):
        raise UserError(
            f"{number} of the {len(directions)} DICOM slices of {folder} are not parallel to the others, as those of a "
            "localiser are not; keep the slices of one volume alone in the folder."
        )


def _check_apart(places: NDArray, folder: Path) -> None:
    if twice := len(places) - len(np.unique(places.round(_DECIMALS), axis=0)):
        raise UserError(
            f"{twice} of the {len(places)} DICOM slices of {folder} lie where another one does, as copies and further "
            "frames do; keep the slices of one volume alone in the folder."
        )


def _check_evenly_spaced(places: NDArray, folder: Path) -> None:
    gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    usual = float(np.median(gaps))
    if uneven := int(np.count_nonzero(np.abs(gaps - usual) > _UNEVEN * usual)):
        raise UserError(
            f"The {len(places)} DICOM slices of {folder} are {usual:g} mm apart, but {uneven} of them "
            f"from {gaps.min():g} to {gaps.max():g} mm: some are missing or there twice; copy the series again."
        )


def _check_upright(places: NDArray, direction: NDArray, folder: Path) -> None:
    """The way through the slices must be at right angles to their rows and columns."""
    way = places[-1] - places[0]
    way /= np.linalg.norm(way)
    aside = float(np.linalg.norm([way @ direction[:3], way @ direction[3:]]))
    if aside > _TILTED:
        raise UserError(
            f"The DICOM slices of {folder} are shifted against each other by {aside:.1%} of their distance, as with a "
            "tilted gantry; make an upright volume of them, as dcm2niix does, and give that."
        )
