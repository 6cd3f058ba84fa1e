"""Implicit shapes drawn in a person's own coordinates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnunetv2_muduo.datasets.boxes import Box

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Frame:
    """The standard-person coordinates (mm) of every voxel, float32 [Z,Y,X] each.

    z runs from the upper thighs (0) to the crown (910), y from front to back with 0 in the middle of the chest, x from
    the person's right to the left with 0 in the midline (so a map drawn in it is in LPS order).
    """

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray

    @cached_property
    def _ranges(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        others = ((1, 2), (0, 2), (0, 1))
        return tuple((c.min(axis=o), c.max(axis=o)) for c, o in zip((self.z, self.y, self.x), others, strict=True))

    def box(self, low: Point, high: Point) -> Box:
        """The smallest index box that holds every voxel whose coordinates (z, y, x) lie within low..high."""
        slices = []
        for (least, most), a, b in zip(self._ranges, low, high, strict=True):
            inside = np.flatnonzero((most >= a) & (least <= b))
            slices.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0))
        return slices[0], slices[1], slices[2]

    def cut(self, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The coordinates (z, y, x) of the voxels of an index box."""
        return self.z[box], self.y[box], self.x[box]


@dataclass(frozen=True)
class Blob:
    """A superellipsoid |z/a|^p + |y/b|^p + |x/c|^p <= 1: centre and radii (z, y, x) in mm, turned by `angles` (radian).

    angles: turns about the z, y and x axis, in that order; exponent p: 2 is an ellipsoid, more is boxier.
    """

    centre: Point
    radii: Point
    exponent: float = 2.0
    angles: Point = (0.0, 0.0, 0.0)


def blob_level(frame: Frame, blob: Blob) -> tuple[Box, np.ndarray]:
    """The index box around a blob, and its implicit function there (float32, <= 1 inside)."""
    turned = any(blob.angles)
    reach = (float(np.linalg.norm(blob.radii)),) * 3 if turned else blob.radii
    box = frame.box(
        (blob.centre[0] - reach[0], blob.centre[1] - reach[1], blob.centre[2] - reach[2]),
        (blob.centre[0] + reach[0], blob.centre[1] + reach[1], blob.centre[2] + reach[2]),
    )
    offsets = [c - np.float32(m) for c, m in zip(frame.cut(box), blob.centre, strict=True)]
    if turned:
        matrix = _rotation(blob.angles)
        offsets = [row[0] * offsets[0] + row[1] * offsets[1] + row[2] * offsets[2] for row in matrix]
    level = np.zeros(offsets[0].shape, np.float32)
    for offset, radius in zip(offsets, blob.radii, strict=True):
        scaled = offset / np.float32(radius)
        level += scaled * scaled if blob.exponent == 2 else np.abs(scaled) ** np.float32(blob.exponent)
    return box, level


def tube_mask(frame: Frame, path: np.ndarray, radius: float) -> tuple[Box, np.ndarray]:
    """The index box and the mask of voxels within `radius` mm of a polyline `path` [n,3] of (z, y, x) points in mm."""
    low, high = path.min(axis=0) - radius, path.max(axis=0) + radius
    box = frame.box((low[0], low[1], low[2]), (high[0], high[1], high[2]))
    z, y, x = frame.cut(box)
    nearest = np.full(z.shape, np.inf, np.float32)
    for start, end in zip(path[:-1].astype(np.float32), path[1:].astype(np.float32), strict=True):
        step = end - start
        offset = (z - start[0], y - start[1], x - start[2])
        along = (offset[0] * step[0] + offset[1] * step[1] + offset[2] * step[2]) / max(float(step @ step), 1e-6)
        along = np.clip(along, 0, 1)
        distance = sum((o - along * s) ** 2 for o, s in zip(offset, step, strict=True))
        np.minimum(nearest, distance, out=nearest)
    return box, nearest <= np.float32(radius**2)


def _rotation(angles: Point) -> np.ndarray:
    """The matrix (z, y, x order) that turns offsets back by `angles` about the z, y and x axis."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = (i for i in range(3) if i != axis)
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = np.sin(angle), -np.sin(angle)
        matrix = turn @ matrix
    return matrix.astype(np.float32)
