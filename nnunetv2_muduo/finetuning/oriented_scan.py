"""Read a scan and its label map from files of any orientation and bring them to a teacher's axes."""

from pathlib import Path

import numpy as np
import SimpleITK

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.semisupervised.nifti_checks import count_non_finite_in_nifti, is_truncated_nifti

_LARGEST_HALF = 65504.0  # of float16
_DIRECTION_TOLERANCE, _PLACE_TOLERANCE_IN_VOXELS = 1e-3, 0.05  # different programs round differently


def read_oriented(path: Path, orientation: str) -> SimpleITK.Image:
    """A scalar 3D image whose axes (x, y, z) grow as `orientation` says ("LPS", "RAS"); nothing is resampled.

    Raises:
        UserError: if the file cannot be read as a 3D image of one channel.
    """
    if is_truncated_nifti(path):
        raise UserError(f"{path} is truncated; copy it again.")
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(
            f"{path} cannot be read as an image ({reason}); write it again, or take the case out."
        ) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(f"{path} is no 3D image of one channel; teachers are trained on whole scans.")
    return SimpleITK.DICOMOrient(image, orientation)


def check_same_grid(image: SimpleITK.Image, labels: SimpleITK.Image, *, path: Path) -> None:
    """Raise a UserError that names the label file `path` unless it lies on the image's grid."""
    spacing = np.array(image.GetSpacing())
    agree = {
        "size": image.GetSize() == labels.GetSize(),
        "spacing": np.allclose(spacing, labels.GetSpacing(), rtol=1e-3),
        "origin": np.abs(np.subtract(image.GetOrigin(), labels.GetOrigin())).max()
        <= _PLACE_TOLERANCE_IN_VOXELS * spacing.min(),
        "direction": np.allclose(image.GetDirection(), labels.GetDirection(), atol=_DIRECTION_TOLERANCE),
    }
    differing = [what for what, same in agree.items() if not same]
    if differing:
        raise UserError(f"{path} has another {', '.join(differing)} than its scan; resample the labels onto the scan.")


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
