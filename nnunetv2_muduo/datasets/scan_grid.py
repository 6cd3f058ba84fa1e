"""Where the voxels of a scan lie in the patient, and moving images from one such grid to another."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from math import prod

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.turning import Turn

_WHOLE_NUMBERS = (sitk.sitkUInt8, sitk.sitkInt8, sitk.sitkUInt16, sitk.sitkInt16)
_MOST_VOXELS = 1 << 31
_FLAT = 1e-6  # axes of which one lies in the plane of the others
_SPACINGS_IN_MM, _FURTHEST_IN_MM = (1e-3, 1e3), 1e6  # of scans of anything; beyond, a header is damaged
_TILTED = 0.01  # cosine of the angle between two axes
_LATTICE = 16  # points along each axis that overlap is counted on


@dataclass(frozen=True)
class ScanGrid:
    """Size, spacing, origin and direction as SimpleITK has them: axes in the order x, y, z, LPS millimetres.

    Attributes:
        size: voxels.
        spacing: mm.
        origin: centre of the first voxel, mm.
        direction: nine cosines, row by row.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image | sitk.ImageFileReader) -> "ScanGrid":
        """The grid of an image, or of what a reader has read the header of."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @classmethod
    def from_dict(cls, values: dict[str, Sequence]) -> "ScanGrid":
        """What `to_dict` gave, also from JSON.

        Raises:
            KeyError, TypeError, ValueError: for anything else, and for more voxels than any scan has.
        """
        size, spacing, origin, direction = (tuple(values[key]) for key in ("size", "spacing", "origin", "direction"))
        numbers = (*spacing, *origin, *direction)
        if not all(type(n) is int for n in size) or not all(type(n) in (int, float) for n in numbers):
            raise TypeError("a grid consists of numbers")
        if [len(part) for part in (size, spacing, origin, direction)] != [3, 3, 3, 9]:
            raise ValueError("a grid has three axes")
        if not (min(size) > 0 and min(spacing) > 0 and all(map(math.isfinite, numbers))):
            raise ValueError("sizes and spacings are above 0, and all numbers of a grid finite")
        if prod(size) > _MOST_VOXELS or abs(np.linalg.det(np.reshape(direction, (3, 3)))) < _FLAT:
            raise ValueError("no scan lies on such a grid")
        return cls(size, tuple(map(float, spacing)), tuple(map(float, origin)), tuple(map(float, direction)))

    def problem(self) -> str | None:
        """What no scan's grid has, in words; None where it may be one's. Of three axes."""
        shortest, longest = _SPACINGS_IN_MM
        if not all(shortest <= spacing <= longest for spacing in self.spacing):
            return f"its voxels measure {' x '.join(f'{spacing:g}' for spacing in self.spacing)} mm"
        if not all(abs(place) <= _FURTHEST_IN_MM for place in self.origin):
            return f"its first voxel lies at {', '.join(f'{place:g}' for place in self.origin)} mm"
        axes = np.reshape(self.direction, (3, 3))
        if not np.abs(axes.T @ axes - np.eye(3)).max() <= _TILTED:
            return "its axes are not at right angles, or no directions"
        return None

    def affine(self) -> NDArray[np.float64]:
        """[4, 4]: from voxels (x, y, z) to LPS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = self._axes(), self.origin
        return matrix

    def to_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    def part(self, start: Sequence[int], size: Sequence[int]) -> "ScanGrid":
        """The grid of a box of voxels; start and size in x, y, z."""
        corner = np.array(self.origin) + self._axes() @ np.array(start, dtype=float)
        return ScanGrid(tuple(int(n) for n in size), self.spacing, tuple(corner.tolist()), self.direction)

    def respaced(self, spacing_in_mm: Sequence[float]) -> "ScanGrid":
        """Another spacing (x, y, z) over the same extent, up to half a voxel: the first corner stays where it is.

        Raises:
            ValueError: where it comes to more voxels than any scan has.
        """
        new, extent = np.array(spacing_in_mm, dtype=float), np.array(self.size) * np.array(self.spacing)
        wanted = np.maximum(1, np.rint(extent / new))
        if wanted.prod() > _MOST_VOXELS:
            sizes, steps = (" x ".join(f"{number:g}" for number in numbers) for numbers in (extent, new))
            raise ValueError(f"{sizes} mm at {steps} mm are more voxels than any scan has")
        size = wanted.astype(int)
        shift = (new / np.array(self.spacing) - 1) / 2  # from the first voxel's centre to the new one's, in voxels
        origin = np.array(self.origin) + self._axes() @ shift
        return ScanGrid(tuple(size.tolist()), tuple(new.tolist()), tuple(origin.tolist()), self.direction)

    def axial_order(self) -> tuple[int, int, int]:
        """Which axes run most nearly along the patient's x, y and z, either way; slices in this order are axial."""
        cosines = np.abs(np.array(self.direction).reshape(3, 3))
        i, j, k = max(permutations(range(3)), key=lambda order: sum(cosines[at, axis] for at, axis in enumerate(order)))
        return i, j, k

    def permuted(self, order: Sequence[int]) -> "ScanGrid":
        """The same voxels with axis order[i] in place i."""
        size, spacing = tuple(self.size[axis] for axis in order), tuple(self.spacing[axis] for axis in order)
        direction = np.array(self.direction).reshape(3, 3)[:, list(order)]
        return ScanGrid(size, spacing, self.origin, tuple(direction.ravel().tolist()))

    def oriented(self, orientation: str) -> "ScanGrid":
        """The same voxels with axes that grow as wanted, or as nearly so as can be without resampling.

        Args:
            orientation: which way x, y and z shall grow in the patient, such as "RAS".
        """
        turn = Turn.of(self.direction, orientation)
        turned = self.permuted([2 - axis for axis in reversed(turn.order)])  # arrays count axes from the other end
        flipped = turn.flipped[::-1]
        corner = [length - 1 if flip else 0 for length, flip in zip(turned.size, flipped, strict=True)]
        direction = np.array(turned.direction).reshape(3, 3) * np.where(flipped, -1, 1)
        return replace(turned.part(corner, turned.size), direction=tuple(direction.ravel().tolist()))

    def is_exactly(self, other: "ScanGrid") -> bool:
        """Whether two grids are one, but for the last digits that file formats round."""
        voxel = min(other.spacing)
        return (
            self.size == other.size
            and np.allclose(self.spacing, other.spacing, rtol=1e-5, atol=0)
            and np.allclose(self.origin, other.origin, rtol=0, atol=1e-3 * voxel)
            and np.allclose(self.direction, other.direction, rtol=0, atol=1e-5)
        )

    def overlap(self, other: "ScanGrid") -> float:
        """The share in [0, 1] of the smaller volume that lies within the other; estimated on a coarse lattice."""
        mine, its = (grid.size_in_mm3() for grid in (self, other))
        return self._share_within(other) if mine <= its else other._share_within(self)

    def size_in_mm3(self) -> float:
        """Volume."""
        return float(prod(self.size) * prod(self.spacing))

    def _share_within(self, other: "ScanGrid") -> float:
        along = [(np.arange(_LATTICE) + 0.5) / _LATTICE * n - 0.5 for n in self.size]
        index = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 3)
        points = np.array(self.origin) + index @ self._axes().T
        inside = (points - np.array(other.origin)) @ np.linalg.inv(other._axes()).T
        return float(((inside >= -0.5) & (inside <= np.array(other.size) - 0.5)).all(axis=1).mean())

    def _axes(self) -> NDArray[np.float64]:
        """[3, 3]: column i leads from a voxel to its neighbour along axis i, in mm."""
        return np.array(self.direction).reshape(3, 3) * np.array(self.spacing)


def onto_grid(
    image: sitk.Image, grid: ScanGrid, *, outside: float = 0, nearest: bool = False, extend: bool = False
) -> sitk.Image:
    """Resample an image: linear, or the nearest voxel for labels; the pixel type stays, whole numbers are rounded.

    Args:
        image: any.
        grid: of the result.
        outside: value where the image has no voxel.
        nearest: for label maps.
        extend: repeat the image's border instead, for what lies less than a voxel beyond it.
    """
    resample = sitk.ResampleImageFilter()
    resample.SetSize(grid.size)
    resample.SetOutputSpacing(grid.spacing)
    resample.SetOutputOrigin(grid.origin)
    resample.SetOutputDirection(grid.direction)
    resample.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resample.SetDefaultPixelValue(outside)
    resample.SetUseNearestNeighborExtrapolator(extend)
    if nearest or image.GetPixelID() not in _WHOLE_NUMBERS:
        return resample.Execute(image)
    resample.SetOutputPixelType(sitk.sitkFloat32)  # ITK would cut the fraction off, which draws HU towards 0
    return sitk.Cast(sitk.Round(resample.Execute(image)), image.GetPixelID())


def snapped(image: sitk.Image, grid: ScanGrid) -> sitk.Image:
    """The same voxels with another header, for grids that differ by rounding; the sizes must agree."""
    image = sitk.Image(image)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image
