"""Which way the axes of a stored scan grow in the patient, as nnU-Net's readers tell it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0])


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
