"""Scans turned so that their axes grow as a teacher expects, and answers turned back: voxels move, none is changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.datasets.orientation import transposed

Part = tuple[slice, slice, slice]  # of a volume, in its array order


@dataclass(frozen=True)
class Turn:
    """How the axes of a scan's array are permuted and flipped, and how that is undone.

    Attributes:
        order: axis j of the turned array is axis order[j] of the scan's.
        flipped: whether axis j of the turned array runs backwards.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def of(cls, direction: Sequence[float], orientation: str) -> "Turn":
        """The turn that SimpleITK's DICOMOrient makes; a scan that lies askew is turned to the nearest axes.

        Args:
            direction: nine direction cosines, as SimpleITK has them.
            orientation: which way x, y and z shall grow in the patient, such as "RAS".
        """
        image = sitk.Image(1, 1, 1, sitk.sitkUInt8)
        image.SetDirection(list(direction))
        orient = sitk.DICOMOrientImageFilter()
        orient.SetDesiredCoordinateOrientation(orientation)
        orient.Execute(image)
        (px, py, pz), (fx, fy, fz) = orient.GetPermuteOrder(), orient.GetFlipAxes()
        return cls((2 - pz, 2 - py, 2 - px), (bool(fz), bool(fy), bool(fx)))  # arrays count axes from the other end

    @classmethod
    def of_patch(cls, stored: str | None, wanted: str, *, axes: Sequence[int] = (0, 1, 2)) -> "Turn":
        """The turn of patches of a preprocessed scan.

        Args:
            stored: which way x, y and z of the scan grow; None: nobody knows, and they are taken to grow as wanted.
            wanted: which way they shall grow.
            axes: which of the scan's axes (z, y, x) each axis of a patch is: `transpose_forward` of nnU-Net's plans.
        """
        grows = transposed(stored or wanted, axes)
        return cls.of(sitk.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(grows), wanted)

    def there(self, array: np.ndarray) -> np.ndarray:
        """The scan's array, turned; contiguous."""
        return np.ascontiguousarray(array.transpose(self.order)[self._flips()])

    def back(self, array: np.ndarray) -> np.ndarray:
        """A turned array (or part of one) as the scan has it."""
        return array[self._flips()].transpose(np.argsort(self.order))

    def spacing(self, spacing_in_mm: Sequence[float]) -> tuple[float, ...]:
        """The turned array's spacing, from the scan's; both in array order."""
        return tuple(spacing_in_mm[axis] for axis in self.order)

    def position(self, index: Sequence[float], shape: Sequence[int]) -> tuple[float, float, float]:
        """Where a place of the scan lies in the turned array.

        Args:
            index: (x, y, z) as SimpleITK counts, from 0 at the first voxel's centre; may be fractional.
            shape: of the whole scan's array, as it is.

        Returns:
            (z, y, x) in the turned array, likewise from 0 at the first voxel's centre.
        """
        there = tuple(reversed(index))
        z, y, x = (
            shape[axis] - 1 - there[axis] if flipped else there[axis]
            for axis, flipped in zip(self.order, self.flipped, strict=True)
        )
        return z, y, x

    def part_back(self, part: Part, shape: Sequence[int]) -> Part:
        """Where a part of the turned array lies in the scan.

        Args:
            part: of the turned array.
            shape: of the whole scan, as it is.
        """
        place = [slice(0)] * 3
        for along, axis, flipped in zip(part, self.order, self.flipped, strict=True):
            length = shape[axis]
            place[axis] = slice(length - along.stop, length - along.start) if flipped else along
        return place[0], place[1], place[2]

    def _flips(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flipped else slice(None) for flipped in self.flipped)
