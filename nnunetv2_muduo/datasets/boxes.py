"""Boxes of voxels, a slice along each axis of an array [Z, Y, X]."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

Box = tuple[slice, slice, slice]


def box_around(mask: NDArray[np.bool_], *, margin: Sequence[int] = (0, 0, 0)) -> Box | None:
    """The smallest box that holds a mask, and so many voxels more on each side where there is room; None if empty."""
    found = find_objects(mask.view(np.uint8), max_label=1)[0]
    if found is None:
        return None
    z, y, x = (
        slice(max(0, along.start - more), min(size, along.stop + more))
        for along, more, size in zip(found, margin, mask.shape, strict=True)
    )
    return z, y, x


def joint_box(boxes: Iterable[Sequence[slice]]) -> Box:
    """The smallest box that holds all boxes, of which there is at least one."""
    z, y, x = (slice(min(a.start for a in along), max(a.stop for a in along)) for along in zip(*boxes, strict=True))
    return z, y, x


def box_within(outer: Sequence[slice], inner: Sequence[slice]) -> Box:
    """Where a box lies in another one that holds it."""
    z, y, x = (slice(b.start - a.start, b.stop - a.start) for a, b in zip(outer, inner, strict=True))
    return z, y, x


def middle_of(box: Sequence[slice]) -> tuple[float, float, float]:
    """The middle (z, y, x) of a box; the centre of the array's first voxel lies at 0.5."""
    z, y, x = ((along.start + along.stop) / 2 for along in box)
    return z, y, x
