"""Whether the slices of a DICOM series are one volume: ITK puts them at even distances, whatever their places are."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.slice_tags import numbers_in
from nnunetv2_muduo.errors import UserError

_OFF_ITS_PLACE = 0.1  # of the distance between slices; tags are rounded by less
_TURNED = 1e-3  # of direction cosines, beyond rounding
_DECIMALS = 3  # of millimetres: slices that are nearer to each other lie in one place
_REMEDY = "keep the slices of one volume alone in the folder"


def check_slices(positions: Sequence[str], orientations: Sequence[str], files: Sequence[str]) -> None:
    """Refuse slices that ITK would put where they do not belong.

    Args:
        positions: of each slice, in their order, what its tag ImagePositionPatient says ("x\\y\\z" in mm).
        orientations: what ImageOrientationPatient says, the direction cosines of rows and columns. Where one of the
            slices says nothing, of either tag, what depends on it is not looked at.
        files: of the slices, in one folder, for messages.

    Raises:
        UserError: for slices that are not parallel, lie in one place, are not evenly spaced or shifted against each
            other (a tilted gantry), so that one would come to lie a tenth of their distance off its place.
    """
    if len(positions) < 2:
        return
    directions = _numbers(orientations, 6)
    if directions is not None:
        _check_parallel(directions, files)
    places = _numbers(positions, 3)
    if places is None:
        return
    _check_apart(places, files)
    _check_evenly_spaced(places, files)
    if directions is not None:
        _check_upright(places, directions[0], files)


def check_acquisitions(numbers: Sequence[str], files: Sequence[str]) -> None:
    """Refuse slices of several acquisitions that lie between each other, also where their distances are even.

    Args:
        numbers: what each slice, in their order, says about AcquisitionNumber; "" where it says nothing.
        files: of the slices, in one folder, for messages.

    Raises:
        UserError: naming the acquisitions. Those that follow each other are one volume.
    """
    different = sorted(set(numbers))
    if len([*groupby(numbers)]) > len(different):
        raise UserError(
            f"The {len(numbers)} DICOM slices of {_folder(files)} are of several acquisitions (AcquisitionNumber "
            f"{', '.join(map(repr, different))}) that lie between each other; {_REMEDY}."
        )


def _numbers(texts: Sequence[str], length: int) -> NDArray[np.float64] | None:
    """What tags of so many numbers say, [slice, number]; None where one of them does not."""
    rows = [numbers_in(text, length) for text in texts]
    return None if None in rows else np.array(rows)


def _folder(files: Sequence[str]) -> Path:
    return Path(files[0]).parent


def _check_parallel(directions: NDArray, files: Sequence[str]) -> None:
    turned = np.abs(directions - np.median(directions, axis=0)).max(axis=1) > _TURNED
    if number := int(np.count_nonzero(turned)):
        raise UserError(
            f"{number} of the {len(directions)} DICOM slices of {_folder(files)}, such as "
            f"{Path(files[int(turned.argmax())]).name}, are not parallel to the others, as those of a localiser are "
            f"not; {_REMEDY}."
        )


def _check_apart(places: NDArray, files: Sequence[str]) -> None:
    keys = [tuple(place) for place in places.round(_DECIMALS).tolist()]
    if twice := len(keys) - len(set(keys)):
        second = next(at for at, key in enumerate(keys) if key in keys[:at])
        pair = (Path(files[at]).name for at in (keys.index(keys[second]), second))
        raise UserError(
            f"{twice} of the {len(places)} DICOM slices of {_folder(files)} lie where another one does, such as "
            f"{' and '.join(pair)}, as copies and further frames do; {_REMEDY}."
        )


def _check_evenly_spaced(places: NDArray, files: Sequence[str]) -> None:
    """Each slice must lie where even distances from the first to the last have it, aside, too."""
    off = np.linalg.norm(places - np.linspace(places[0], places[-1], len(places)), axis=1).max()
    if off > _OFF_ITS_PLACE * _distance(places):
        gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        raise UserError(
            f"The {len(places)} DICOM slices of {_folder(files)} are not evenly spaced but {gaps.min():g} to "
            f"{gaps.max():g} mm apart, and would lie up to {off:.2g} mm off their places: some are missing, there "
            "twice or shifted; copy the series again or, if it was scanned so, make an even volume of it, as dcm2niix "
            "does, and give that."
        )


def _check_upright(places: NDArray, direction: NDArray, files: Sequence[str]) -> None:
    """The way through the slices must be at right angles to their rows and columns."""
    way = places[-1] - places[0]
    aside = float(np.linalg.norm([way @ direction[:3], way @ direction[3:]]))
    if aside > _OFF_ITS_PLACE * _distance(places):
        raise UserError(
            f"The DICOM slices of {_folder(files)} are shifted against each other by {aside / np.linalg.norm(way):.2%} "
            f"of their distance, {aside:.2g} mm from the first to the last, as with a tilted gantry; make an upright "
            "volume of them, as dcm2niix does, and give that."
        )


def _distance(places: NDArray) -> float:
    """Between neighbours, as ITK has it."""
    return float(np.linalg.norm(places[-1] - places[0])) / (len(places) - 1)
