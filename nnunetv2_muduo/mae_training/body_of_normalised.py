"""Where the body is in a case that nnU-Net has normalised: HU are gone, but air still is darker than tissue."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.cases.body import BODY_THRESHOLD_IN_HU, sample_body_locations

_NUMBER_OF_LOCATIONS = 2000  # of each case, kept in memory by each worker
_BINS = 256
_SAMPLED = 1_000_000  # voxels are plenty for a histogram


def body_locations(ct: NDArray, *, spacing_in_mm: Sequence[float], name: str, axial_axis: int = 0) -> NDArray[np.int32]:
    """Random voxels of the body, the same ones every time.

    The body is the largest component above the threshold between air and tissue, see `threshold_between_two_classes`.

    Args:
        ct: [Z, Y, X] in any unit that grows with HU.
        spacing_in_mm: (z, y, x).
        name: of the case, seeds the draw.
        axial_axis: along the patient.

    Returns:
        [n, 3] (z, y, x), n >= 1; of the whole volume where CT is the same everywhere.
    """
    threshold = threshold_between_two_classes(ct)
    as_if_in_hu = ct.astype(np.float32) - threshold + BODY_THRESHOLD_IN_HU
    return sample_body_locations(
        as_if_in_hu,
        np.zeros_like(as_if_in_hu),  # no second opinion from PET, which has other units here
        spacing_in_mm=spacing_in_mm,
        new_shape=ct.shape,
        number=_NUMBER_OF_LOCATIONS,
        generator=np.random.default_rng(zlib.crc32(name.encode())),
        axial_axis=axial_axis,
    )


def threshold_between_two_classes(values: NDArray) -> float:
    """The value that separates two classes of voxels best (Otsu 1979): largest variance between their means.

    It moves along when all values are scaled and shifted, so it does not matter how a scan was normalised. In CT, of
    which about half is air, it lies near -500 HU.
    """
    sample = values.ravel()[:: max(1, values.size // _SAMPLED)].astype(np.float64)
    counts, edges = np.histogram(sample, bins=_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below, total = counts.cumsum(), counts.sum()
    sum_below = (counts * centres).cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (sum_below[-1] * below / total - sum_below) ** 2 / (below * (total - below))
    between = np.nan_to_num(between, posinf=0.0)
    best = np.flatnonzero(between == between.max())  # a whole gap between the classes is equally good
    return float((edges[best[0] + 1] + edges[best[-1] + 1]) / 2)
