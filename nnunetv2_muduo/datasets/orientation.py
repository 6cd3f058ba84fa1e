"""Which way the axes of a stored scan grow in the patient, as nnU-Net's readers tell it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])
AXIAL = "LPS"  # how scans in axial slices are stored, or mirrored to it, which changes no order of axes


def orientation_of(properties: Mapping[str, Any]) -> str | None:
    """Which way x, y and z of a scan grow: "LPS" is left, posterior, superior (see `TeacherSpec.orientation`).

    Args:
        properties: of the scan, as nnU-Net's readers return them and its preprocessing stores them.

    Returns:
        Three letters, those of the nearest axes where the scan lies askew; None where its format does not know.
    """
    direction = properties.get("sitk_stuff", {}).get("direction")
    affines = properties.get("nibabel_stuff", {})
    affine = affines.get("reoriented_affine", affines.get("original_affine"))
    if affine is not None:
        axes = np.asarray(affine, dtype=float)[:3, :3]
        direction = (_LPS_FROM_RAS @ (axes / np.linalg.norm(axes, axis=0))).ravel()
    if direction is None or len(direction) != 9:
        return None
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines([float(cosine) for cosine in direction])


def transposed(orientation: str, axes: Sequence[int]) -> str:
    """Which way x, y and z of a patch grow whose axes are those of its scan's array in another order.

    Args:
        orientation: which way x, y and z of the scan grow.
        axes: which of the scan's axes (z, y, x) each axis of the patch is: `transpose_forward` of nnU-Net's plans.
    """
    zyx = orientation[::-1]
    return "".join(zyx[axis] for axis in axes)[::-1]


def axial_axis(orientation: str | None, axes: Sequence[int] = (0, 1, 2)) -> int:
    """Which axis of an array runs along the patient, from 0 to 2; the slices across it are axial.

    Args:
        orientation: which way x, y and z of the scan grow; None: nobody knows, and it is taken to be stored in axial
            slices.
        axes: of the array, as in `transposed`.
    """
    letters = transposed(orientation or AXIAL, axes)
    return next(2 - place for place, letter in enumerate(letters) if letter in "SI")
