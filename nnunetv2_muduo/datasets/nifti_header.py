"""What a NIfTI header says in two ways, or not as numbers: SimpleITK chooses one of them without a word."""

from itertools import product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.openers import ImageOpener
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.scan_grid import ScanGrid

_LEAST_OFFSET_IN_BYTES = 352  # of voxels in a file of header and voxels
_IN_MM = {1: 1000.0, 3: 0.001}  # NIfTI's units of length: 1 is m, 2 mm, 3 micrometres, and 0 taken for mm
_LEAST_SLOPE = 1e-15  # ITK takes smaller ones for none
_OFF_IN_VOXELS = 0.5  # of the corner that is furthest off
_SCALED = 1e-2  # of the size of a voxel
_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def nifti_problem(file: Path, grid: ScanGrid) -> str | None:
    """Why what SimpleITK read of a .nii or .nii.gz file may not be what its header means, in words; None where it is.

    Where sform and qform are of two spaces, by their codes, they may differ in place, and ITK's choice stands, but not
    in the size of the voxels or in the nearest axes of the patient.

    Args:
        file: of any format; of others nothing is told.
        grid: of its three axes, as SimpleITK read it.
    """
    if not file.name.endswith((".nii", ".nii.gz")):
        return None
    try:
        image: Any = nibabel.load(file)
        with ImageOpener(str(file)) as stream:
            header = type(image.header).from_fileobj(stream, check=False)  # as it is; the image's is put right
        return _problem(image.dataobj.offset, header, grid)
    except Exception as error:  # nibabel raises many kinds of errors
        return f"its header is damaged ({str(error).splitlines()[0] if str(error) else type(error).__name__})"


def has_form(file: Path) -> bool:
    """Whether a file that can be read has a sform or a qform, if it is .nii or .nii.gz; True for other formats."""
    if not file.name.endswith((".nii", ".nii.gz")):
        return True
    header: Any = nibabel.load(file).header
    return bool(header["sform_code"] > 0 or header["qform_code"] > 0)


def _problem(offset: int, header: Any, grid: ScanGrid) -> str | None:
    if offset < _LEAST_OFFSET_IN_BYTES:
        return f"its voxels begin at byte {offset}, within its header"
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not _is_clear(slope, intercept):
        return f"it scales its values by {slope:g} and adds {intercept:g}, which programs read in several ways"
    sizes = header["pixdim"][1:4]
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        return f"its voxels measure {' x '.join(f'{size:g}' for size in sizes)}"
    in_mm = _IN_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    codes = {"sform": int(header["sform_code"]), "qform": int(header["qform_code"])}
    forms = {"sform": header.get_sform, "qform": header.get_qform}
    told = {name: _affine(forms[name](), in_mm) for name, code in codes.items() if code > 0}
    read = grid.affine()
    apart = {name: _apart(affine, read, grid.size) for name, affine in told.items()}
    if all(distance <= _OFF_IN_VOXELS for distance in apart.values()):
        return None
    if (
        codes["sform"] != codes["qform"]
        and min(apart.values()) <= _OFF_IN_VOXELS
        and all(_are_alike(affine, read) for affine in told.values())
    ):
        return None
    names = " and ".join(f"its {name} by {distance:.3g} voxels" for name, distance in apart.items())
    return f"sform, qform and pixdim say different things about where its voxels lie (off what is read: {names})"


def _is_clear(slope: float, intercept: float) -> bool:
    """Whether all programs scale values alike: not at all with a factor of 0 or NaN and nothing to add."""
    if slope == 0 or not np.isfinite(slope):
        return intercept == 0 or not np.isfinite(intercept)
    return abs(slope) >= _LEAST_SLOPE and bool(np.isfinite(intercept))


def _affine(affine: NDArray, in_mm: float) -> NDArray[np.float64]:
    """[4, 4] from voxels (x, y, z) to LPS mm."""
    return _LPS_FROM_RAS @ np.diag([in_mm, in_mm, in_mm, 1.0]) @ affine


def _apart(affine: NDArray, other: NDArray, size: tuple[int, ...]) -> float:
    """How far the corner that is furthest off lies from where the other affine has it, in voxels of that one."""
    corners = np.array([(*corner, 1) for corner in product(*((0, length - 1) for length in size))]).T
    off = np.linalg.solve(other[:3, :3], ((affine - other) @ corners)[:3])
    return float(np.linalg.norm(off, axis=0).max()) if np.isfinite(off).all() else np.inf


def _are_alike(affine: NDArray, other: NDArray) -> bool:
    """Whether voxels are of one size, and grow the same way along the nearest axes of the patient."""
    mine, its = affine[:3, :3], other[:3, :3]
    sizes, others = (np.linalg.norm(axes, axis=0) for axes in (mine, its))
    return np.allclose(sizes, others, rtol=_SCALED) and nibabel.aff2axcodes(affine) == nibabel.aff2axcodes(other)
