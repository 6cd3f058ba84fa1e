"""CT, PET and labels of one case brought onto one grid and, where asked, to another spacing and the body's box."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.datasets.body_box import body_box
from nnunetv2_muduo.datasets.scan_grid import ScanGrid, onto_grid, snapped
from nnunetv2_muduo.datasets.scan_io import grid_differences
from nnunetv2_muduo.errors import UserError

_AIR_IN_HU = -1000.0
_LITTLE_OVERLAP = 0.5
_AS_STORED = (0, 1, 2)
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class Options:
    """What is done to every case.

    Attributes:
        grid: whose grid the case gets.
        body_crop: cut to the body's box.
        spacing_in_mm: (z, y, x) to resample to; None leaves that to nnU-Net.
        copy: copy files that need no change instead of linking them.
    """

    grid: Literal["pet", "ct"] = "pet"
    body_crop: bool = False
    spacing_in_mm: tuple[float, float, float] | None = None
    copy: bool = False


@dataclass(frozen=True)
class Box:
    """A box of voxels; axes x, y, z."""

    start: tuple[int, int, int]
    size: tuple[int, int, int]


@dataclass(frozen=True)
class Harmonised:
    """A case on one grid; an image that needed no change is the very object that was given.

    Attributes:
        ct, pet, label: HU, SUV and label values; the label may be missing.
        own_grid: of the scan that the case got its grid from, as it was read.
        full_grid: before cropping, with the new spacing and order of axes.
        box: what was cut out of the full grid; None: everything.
        notes: what a user should know, one sentence each.
    """

    ct: sitk.Image
    pet: sitk.Image
    label: sitk.Image | None
    own_grid: ScanGrid
    full_grid: ScanGrid
    box: Box | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Place:
    """Where the images of a case go.

    Attributes:
        reference: the image whose grid the case gets.
        name: what it is called in notes.
        order: of the reference's axes, see `ScanGrid.axial_order`.
        full_grid: the reference's own grid with its axes in this order and, where asked, another spacing.
    """

    reference: sitk.Image
    name: str
    order: tuple[int, int, int]
    full_grid: ScanGrid

    @property
    def own_grid(self) -> ScanGrid:
        return ScanGrid.of(self.reference)


def harmonise_images(ct: sitk.Image, pet: sitk.Image, label: sitk.Image | None, options: Options) -> Harmonised:
    """Bring the images of a case onto one grid.

    Images are interpolated linearly, once; labels take the nearest voxel; outside of a scan are air (-1000 HU), no
    uptake and background. With a spacing or the body crop, which have axes x, y and z in mind, scans that are not
    stored in axial slices get their axes in this order. The box is that of the largest component of CT > -500 HU plus 3
    voxels, on the resampled grid (arXiv 2605.21835).

    Args:
        ct: HU.
        pet: SUV.
        label: integer values, on any grid of the same space.

    Raises:
        UserError: if PET or labels lie elsewhere in space than the CT, or there is no body to crop to.
    """
    notes: list[str] = []
    place = _place(pet if options.grid == "pet" else ct, options, notes)
    ct = _onto(ct, place, name="CT", outside=_AIR_IN_HU, notes=notes)
    pet = _onto(pet, place, name="PET", outside=0.0, notes=notes)
    label = None if label is None else _label_onto(label, place, notes)
    box = None
    if options.body_crop:
        z, y, x = body_box(sitk.GetArrayViewFromImage(ct))
        box = Box((x.start, y.start, z.start), (x.stop - x.start, y.stop - y.start, z.stop - z.start))
        before = _labelled_voxels(label)
        ct, pet = _cut(ct, box), _cut(pet, box)
        label = None if label is None else _cut(label, box)
        if lost := before - _labelled_voxels(label):
            notes.append(f"{lost} of {before} labelled voxels lie outside the body's box and are cut off.")
    return Harmonised(ct, pet, label, place.own_grid, place.full_grid, box, tuple(notes))


def label_onto(label: sitk.Image, grid: ScanGrid, reference: sitk.Image, *, name: str, notes: list[str]) -> sitk.Image:
    """A label map on the grid of `reference` by the nearest voxel; untouched where it lies on it already.

    Args:
        label: integer values.
        grid: of `reference`.
        reference: an image, called `name` in notes.
        notes: gets a sentence where it was resampled, and one where a value got lost.

    Raises:
        UserError: if the two do not overlap in space.
    """
    return _label_onto(label, _Place(reference, name, _AS_STORED, grid), notes)


def _place(reference: sitk.Image, options: Options, notes: list[str]) -> _Place:
    """Where a case goes whose grid is that of `reference`."""
    grid, name = ScanGrid.of(reference), options.grid.upper()
    order = grid.axial_order() if options.body_crop or options.spacing_in_mm is not None else _AS_STORED
    if order != _AS_STORED:
        grid = grid.permuted(order)
        stored = ", ".join("xyz"[order.index(axis)] for axis in range(3))
        notes.append(f"The axes of the {name} are stored in the order {stored}: they were brought into x, y, z.")
    if options.spacing_in_mm is not None:
        try:
            grid = grid.respaced(tuple(reversed(options.spacing_in_mm)))
        except ValueError as error:
            raise UserError(f"The {name}'s header cannot be right, or the spacing asked for: {error}") from error
    return _Place(reference, name, order, grid)


def _onto(
    image: sitk.Image, place: _Place, *, name: str, outside: float, notes: list[str], nearest: bool = False
) -> sitk.Image:
    """An image in its place, interpolated once at most; untouched where it lies there already."""
    on_own_grid = ScanGrid.of(image).is_exactly(place.own_grid)
    if differing := [] if on_own_grid else grid_differences(ScanGrid.of(image), ScanGrid.of(place.reference)):
        _tell_of_resampling(image, place, name, differing, notes)
        return onto_grid(image if nearest else _interpolable(image), place.full_grid, outside=outside, nearest=nearest)
    image = image if on_own_grid else snapped(image, place.own_grid)
    if place.full_grid == place.own_grid:
        return image
    if place.full_grid == place.own_grid.permuted(place.order):
        return snapped(sitk.PermuteAxes(image, place.order), place.full_grid)
    return onto_grid(image if nearest else _interpolable(image), place.full_grid, nearest=nearest, extend=True)


def _tell_of_resampling(
    image: sitk.Image, place: _Place, name: str, differing: Sequence[str], notes: list[str]
) -> None:
    """Add notes about an image on another grid than the case's; raise UserError if it lies elsewhere in space."""
    overlap = ScanGrid.of(image).overlap(place.own_grid)
    told = f"{name} and {place.name} lie on different grids ({'; '.join(differing)})"
    if overlap == 0:
        raise UserError(f"{told} that do not overlap in space; they need to be registered first")
    notes.append(f"{told}: {name} was resampled.")
    if overlap < _LITTLE_OVERLAP:
        notes.append(f"Only {100 * overlap:.0f} % of the smaller of {name} and {place.name} lies within the other.")


def _label_onto(label: sitk.Image, place: _Place, notes: list[str]) -> sitk.Image:
    """As `label_onto`."""
    moved = _onto(label, place, name="label", outside=0, notes=notes, nearest=True)
    before, after = (np.unique(sitk.GetArrayViewFromImage(image)) for image in (label, moved))
    vanished = np.setdiff1d(before, after)
    if vanished.size:
        values = ", ".join(f"{value:g}" for value in vanished)
        notes.append(f"Nothing is left of the label value(s) {values} on the grid of the {place.name}.")
    return moved


def _interpolable(image: sitk.Image) -> sitk.Image:
    """A type that holds air outside of the scan as well, at most 32 bits a voxel."""
    kind = image.GetPixelID()
    if kind in (sitk.sitkInt16, sitk.sitkFloat32):
        return image
    values = sitk.GetArrayViewFromImage(image)
    whole = values.dtype.kind in "iu" and values.min() >= _INT16.min and values.max() <= _INT16.max
    return sitk.Cast(image, sitk.sitkInt16 if whole else sitk.sitkFloat32)


def _cut(image: sitk.Image, box: Box) -> sitk.Image:
    return sitk.RegionOfInterest(image, size=box.size, index=box.start)


def _labelled_voxels(label: sitk.Image | None) -> int:
    return 0 if label is None else int(np.count_nonzero(sitk.GetArrayViewFromImage(label)))
