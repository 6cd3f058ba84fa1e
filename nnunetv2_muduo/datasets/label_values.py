"""Which values a label map holds, and refusing those that nobody named."""

from collections.abc import Collection, Sequence

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from nnunetv2_muduo.errors import UserError

_SMALL_INTEGERS = (sitk.sitkUInt8, sitk.sitkUInt16, sitk.sitkInt16, sitk.sitkInt8)


def label_values(array: NDArray) -> Sequence[float]:
    """The values of a label map [Z, Y, X], in ascending order; whole numbers up to 255 are counted, not sorted."""
    if array.dtype.kind != "u" or array.dtype.itemsize != 1:
        return np.unique(array).tolist()
    present = np.zeros(256, dtype=bool)
    for plane in array:  # counting all at once would take 8 bytes more a voxel
        if plane.any():  # most planes are empty, which is told much faster than counted
            present |= np.bincount(plane.ravel(), minlength=256) > 0
        else:
            present[0] = True
    return np.flatnonzero(present).tolist()


def checked_label(
    label: sitk.Image, allowed: Collection[int], *, remedy: str, values: Sequence[float] | None = None
) -> sitk.Image:
    """Whole numbers that the dataset knows, as 8 or 16 bits; the given object where it is such already.

    Args:
        label: a map.
        allowed: values.
        remedy: for other values, in words.
        values: of the label, where they are known already.

    Raises:
        UserError: naming the first values that are not allowed, and the remedy.
    """
    values = label_values(sitk.GetArrayViewFromImage(label)) if values is None else values
    if unknown := [value for value in values if value not in allowed]:
        shown = ", ".join(f"{value:g}" for value in unknown[:5])
        raise UserError(f"the label holds {shown}, which the dataset's labels do not name ({remedy})")
    if label.GetPixelID() in _SMALL_INTEGERS:
        return label
    return sitk.Cast(label, sitk.sitkUInt8 if max(allowed) < 256 else sitk.sitkUInt16)
