"""Distances between the surfaces of two masks, in millimetres."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree


@dataclass(frozen=True)
class SurfaceDistances:
    """Summaries of the distances from every surface voxel of either mask to the other mask's surface.

    Attributes:
        hd95: the larger of the two directed 95th percentiles (Hausdorff distance without its outliers), mm.
        asd: average symmetric surface distance: the mean over the surface voxels of both masks, mm.
    """

    hd95: float
    asd: float


def surface_distances(
    prediction: np.ndarray, reference: np.ndarray, *, spacing_in_mm: Sequence[float]
) -> SurfaceDistances:
    """HD95 and average symmetric surface distance, both as MONAI defines them.

    Args:
        prediction, reference: bool arrays of one shape, of any number of axes.
        spacing_in_mm: along each axis, in the order of the axes.

    Returns:
        NaN where both masks are empty; infinity where one is: nothing is near to what is not there.
    """
    if not prediction.any() or not reference.any():
        value = float("inf") if prediction.any() or reference.any() else float("nan")
        return SurfaceDistances(value, value)
    there, back = _directed_distances(*(_surface(mask, spacing_in_mm) for mask in (prediction, reference)))
    hd95 = max(float(np.percentile(distances, 95)) for distances in (there, back))
    return SurfaceDistances(hd95, float(np.concatenate((there, back)).mean()))


def _surface(mask: np.ndarray, spacing_in_mm: Sequence[float]) -> np.ndarray:
    """[N, axes] centres in mm of the voxels that share a face with the background, which goes on outside the array.

    Looks at the mask's own voxels alone: far fewer than an erosion goes through when strays lie far apart.
    """
    padded = np.pad(mask, 1)
    flat = padded.reshape(-1)
    voxels = np.flatnonzero(flat)
    enclosed = np.ones(len(voxels), dtype=bool)
    for step in (stride // padded.itemsize for stride in padded.strides):
        enclosed &= flat[voxels - step] & flat[voxels + step]
    return np.stack(np.unravel_index(voxels[~enclosed], padded.shape), axis=1) * np.asarray(spacing_in_mm, dtype=float)


def _directed_distances(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """From each point of one set to the nearest of the other, and back.

    A tree of the surface voxels instead of a distance map: stray voxels far away cost nothing, where a map of
    everything in between needs gigabytes on a whole-body scan.
    """
    return KDTree(second).query(first)[0], KDTree(first).query(second)[0]
