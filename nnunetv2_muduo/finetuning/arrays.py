"""What a teacher is trained on, made of a scan and its label map: no finer than needed, checked, in few bytes."""

from pathlib import Path

import numpy as np
import SimpleITK

from nnunetv2_muduo.datasets.nifti_checks import count_non_finite_in_nifti
from nnunetv2_muduo.errors import UserError

_LARGEST_HALF = 65504.0  # of float16


def at_least_spaced(image: SimpleITK.Image, spacing_in_mm: float, *, is_labels: bool) -> SimpleITK.Image:
    """Coarsen the axes that are finer than `spacing_in_mm` to it; coarser ones stay as they are.

    Images are smoothed first, so that what is left out does not alias, and interpolated linearly; labels are taken from
    the nearest voxel. The outer faces of the volume stay where they are.
    """
    old = np.array(image.GetSpacing())
    size = np.array(image.GetSize())
    fewer = np.where(old < 0.95 * spacing_in_mm, np.maximum(1, np.round(size * old / spacing_in_mm)), size).astype(int)
    if np.array_equal(fewer, size):
        return image
    new = old * size / fewer
    if not is_labels:
        sigmas = np.where(new > old, 0.5 * np.sqrt(np.maximum((new / old) ** 2 - 1, 0)) * old, 0.0)
        image = SimpleITK.Cast(image, SimpleITK.sitkFloat32)
        for axis in np.flatnonzero(sigmas).tolist():
            if size[axis] >= 4:  # what the recursive filter needs
                image = SimpleITK.RecursiveGaussian(image, float(sigmas[axis]), direction=axis)
    origin = image.TransformContinuousIndexToPhysicalPoint(((new / old - 1) / 2).tolist())
    method = SimpleITK.sitkNearestNeighbor if is_labels else SimpleITK.sitkLinear
    return SimpleITK.Resample(
        image, fewer.tolist(), SimpleITK.Transform(), method, origin, new.tolist(), image.GetDirection(), 0.0
    )


def raw_array(image: SimpleITK.Image, path: Path) -> np.ndarray:
    """Raw intensities [Z, Y, X] as float16.

    Raises:
        UserError: for NaN or infinite voxels, and for values no HU or SUV can have.
    """
    array = SimpleITK.GetArrayFromImage(image).astype(np.float32)
    if not np.isfinite(array).all() or count_non_finite_in_nifti(path):  # ITK reads those of a NIfTI file as 0
        raise UserError(f"{path} has voxels that are NaN or infinite; write it again.")
    if np.abs(array).max() > _LARGEST_HALF:
        raise UserError(f"{path} holds values up to {np.abs(array).max():.3g}, neither HU nor SUV; convert it first.")
    return array.astype(np.float16)


def label_array(labels: SimpleITK.Image, table: dict[int, int], path: Path) -> np.ndarray:
    """Stored labels [Z, Y, X], uint8, by the table from the file's values.

    Raises:
        UserError: for a value that is no label of the dataset.
    """
    array = SimpleITK.GetArrayFromImage(labels)
    values, places = np.unique(array, return_inverse=True)
    unknown = [value for value in values.tolist() if value not in table]
    if unknown:
        raise UserError(f"{path} holds {unknown[0]:g}, which is no label of its dataset.json; correct one of them.")
    return np.array([table[int(value)] for value in values], np.uint8)[places].reshape(array.shape)
