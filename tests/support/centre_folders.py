"""Folders as centres have them: a body in air as CT, its uptake as PET, a lesion as label, on grids as asked."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_grid import ScanGrid, snapped

PET_GRID = ScanGrid((14, 12, 10), (4.0, 4.0, 5.0), (-28.0, -24.0, 10.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
CT_GRID = ScanGrid((28, 24, 17), (2.0, 2.0, 3.0), (-29.0, -25.0, 9.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
_BODY = ((-16.0, 12.0), (-12.0, 8.0), (18.0, 44.0))  # mm, x, y, z
_LESION = ((-8.0, 4.0), (-4.0, 4.0), (20.0, 36.0))


def a_ct(grid: ScanGrid = CT_GRID) -> sitk.Image:
    """-1000 HU outside of the body, 40 in it; int16."""
    return _drawn(grid, np.where(_inside(grid, _BODY), 40, -1000).astype(np.int16))


def a_pet(grid: ScanGrid = PET_GRID, *, factor: float = 1.0) -> sitk.Image:
    """SUV 0 outside of the body, 1 in it and 8 in the lesion, times a factor; float32."""
    return _drawn(grid, (factor * (_inside(grid, _BODY) + 7.0 * _inside(grid, _LESION))).astype(np.float32))


def a_label(grid: ScanGrid = PET_GRID, *, value: int = 1) -> sitk.Image:
    """The lesion; uint8."""
    return _drawn(grid, (value * _inside(grid, _LESION)).astype(np.uint8))


def write_case(folder: Path, *, label: bool = False, **images: sitk.Image) -> Path:
    """CTres.nii.gz, SUV.nii.gz and, where asked, SEG.nii.gz, all on the PET's grid unless given."""
    files = {"CTres": a_ct(PET_GRID), "SUV": a_pet(PET_GRID)} | ({"SEG": a_label(PET_GRID)} if label else {}) | images
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in files.items():
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder


def _inside(grid: ScanGrid, box: tuple[tuple[float, float], ...]) -> np.ndarray:
    """[Z, Y, X] bool: voxels whose centre lies in a box [mm]; for grids along the axes of the patient."""
    geometry = zip(grid.size, grid.spacing, grid.origin, strict=True)
    along = [origin + spacing * np.arange(size) for size, spacing, origin in geometry]
    x, y, z = ((low <= at) & (at <= high) for at, (low, high) in zip(along, box, strict=True))
    return z[:, None, None] & y[None, :, None] & x[None, None, :]


def _drawn(grid: ScanGrid, array: np.ndarray) -> sitk.Image:
    return snapped(sitk.GetImageFromArray(array), grid)
