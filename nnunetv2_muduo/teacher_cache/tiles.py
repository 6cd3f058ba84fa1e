"""Where the patches of the teacher cache lie in a scan: evenly, overlapping, only where there is body."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.teachers.tiling import lay_cubes

OVERLAP = 0.5  # least share of their edge that neighbouring tiles have in common


def lay_tiles(
    shape: Sequence[int], patch_size: Sequence[int], body: NDArray[np.integer], *, most: int
) -> NDArray[np.int32]:
    """Centres of tiles of the patch's size that cover the body.

    Along each axis as few tiles as overlap by half are laid evenly, the first and the last flush with the scan. Those
    are kept whose inner half (to the border of the scan, where the tile touches it) holds body: every voxel of the body
    is in the inner half of one. Where they are more than `most`, those farthest apart are taken, one by one, beginning
    in the middle of the body.

    Args:
        shape: (Z, Y, X) of the preprocessed scan, in voxels.
        patch_size: (Z, Y, X) in voxels; where it is larger than the scan, the scan lies in its middle.
        body: [n, 3] (z, y, x) voxels inside the body, n >= 1.
        most: at most so many tiles, at least 1.

    Returns:
        [T, 3] (z, y, x) voxels for `crop_and_place`, in raster order, 1 <= T <= most.
    """
    starts, reach = zip(*(_lay_axis(*lengths) for lengths in zip(shape, patch_size, strict=True)), strict=True)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*(range(len(s)) for s in starts), indexing="ij")], axis=1)
    inside = np.ones((len(grid), len(body)), dtype=bool)
    for axis in range(3):
        near, far = reach[axis][grid[:, axis]].T[..., None]
        inside &= (body[:, axis] >= near) & (body[:, axis] < far)
    grid = grid[inside.any(1)]
    corners = np.stack([starts[axis][grid[:, axis]] for axis in range(3)], axis=1)
    centres = corners + np.asarray(patch_size) // 2
    return centres[_spread((centres - body.mean(0)) / np.asarray(patch_size), most)].astype(np.int32)


def _lay_axis(length: int, patch: int) -> tuple[NDArray, NDArray]:
    """First voxels [t] of the tiles along an axis, and [t, 2] from where to where the inner half of each reaches."""
    if length <= patch:
        start = (length - patch) // 2  # in the middle, as `crop_and_place` has it
        return np.array([start]), np.array([[-np.inf, np.inf]])
    starts = np.rint(lay_cubes(length, patch, least_overlap=OVERLAP).starts).astype(int)
    reach = np.stack([starts + patch / 4, starts + 3 * patch / 4], axis=1)
    reach[:-1, 1] = np.maximum(reach[:-1, 1], reach[1:, 0])  # rounded starts leave no gap
    reach[0, 0], reach[-1, 1] = -np.inf, np.inf
    return starts, reach


def _spread(positions: NDArray, number: int) -> NDArray:
    """Indices, ascending, of at most `number` of the positions [t, 3]: the one nearest to 0, then the farthest ones."""
    if len(positions) <= number:
        return np.arange(len(positions))
    chosen = [int(np.linalg.norm(positions, axis=1).argmin())]
    distance = np.full(len(positions), np.inf)
    while len(chosen) < number:
        distance = np.minimum(distance, np.linalg.norm(positions - positions[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return np.sort(chosen)
