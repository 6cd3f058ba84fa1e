"""Where voxels lie in mm, and smooth random fields over them."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Grid:
    """A box of `extent_in_mm` (z, y, x) cut into voxels of `spacing_in_mm` (z, y, x)."""

    extent_in_mm: tuple[float, float, float]
    spacing_in_mm: tuple[float, float, float]

    @classmethod
    def of_shape(cls, shape: tuple[int, ...], spacing_in_mm: tuple[float, float, float]) -> "Grid":
        """The grid of an array of this shape [Z,Y,X]."""
        nz, ny, nx = shape
        dz, dy, dx = spacing_in_mm
        return cls((nz * dz, ny * dy, nx * dx), (dz, dy, dx))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (z, y, x); the last voxel may stick out of the box."""
        z, y, x = (max(1, math.ceil(e / s - 1e-6)) for e, s in zip(self.extent_in_mm, self.spacing_in_mm, strict=True))
        return z, y, x

    def axes_in_mm(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voxel centres along z, y and x in mm from the box's first corner, float32."""
        z, y, x = (
            (np.arange(n, dtype=np.float32) + np.float32(0.5)) * np.float32(s)
            for n, s in zip(self.shape, self.spacing_in_mm, strict=True)
        )
        return z, y, x


def smooth_field(grid: Grid, rng: np.random.Generator, *, wavelength_in_mm: float) -> np.ndarray:
    """A smooth random field, float32 [Z,Y,X], mean 0 and standard deviation about 1.

    Normal numbers on knots `wavelength_in_mm` apart, joined by cubic B-splines. The knots depend on the box's extent in
    mm, not on its voxels, so the same generator gives the same field at every spacing.
    """
    axes = grid.axes_in_mm()
    weights = [_spline_weights(axis, extent, wavelength_in_mm) for axis, extent in zip(axes, grid.extent_in_mm)]  # noqa: B905
    field = rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
    for w in weights:  # each pass contracts the first axis and appends it last: z, y, x come out in order
        w = w / np.sqrt((w**2).sum(axis=1).mean())
        field = np.tensordot(field, w, axes=([0], [1]))
    return np.ascontiguousarray(field, dtype=np.float32)


def _spline_weights(positions: np.ndarray, extent: float, wavelength: float) -> np.ndarray:
    """Cubic B-spline weights of every knot at every position: float32 [positions, knots]."""
    knots = math.ceil(extent / wavelength) + 3
    distance = np.abs(positions[:, None] / np.float32(wavelength) - (np.arange(knots, dtype=np.float32) - 1)[None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def gaussian_blur(image: np.ndarray, fwhm_in_mm: float, spacing_in_mm: tuple[float, float, float]) -> np.ndarray:
    """`image` [Z,Y,X] blurred by a Gaussian of this full width at half maximum in mm, float32."""
    sigma = [fwhm_in_mm / 2.3548 / s for s in spacing_in_mm]
    return ndimage.gaussian_filter(image.astype(np.float32, copy=False), sigma, mode="nearest", truncate=3.0)
