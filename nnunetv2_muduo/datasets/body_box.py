"""The box around the patient in a CT, as the PET/CT masked autoencoder was trained with (arXiv 2605.21835)."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nnunetv2_muduo.datasets.boxes import Box, box_around
from nnunetv2_muduo.errors import UserError

BODY_THRESHOLD_IN_HU = -500.0  # halfway between air and soft tissue
PADDING_IN_VOXELS = 3


def body_box(ct: NDArray, *, padding: int = PADDING_IN_VOXELS) -> Box:
    """Where the largest component of CT > -500 HU lies, with a margin that ends at the scan's border.

    Args:
        ct: [Z, Y, X] HU.
        padding: voxels on every side.

    Returns:
        Slices in array order (z, y, x).

    Raises:
        UserError: if no voxel exceeds the threshold.
    """
    tissue = ct > BODY_THRESHOLD_IN_HU
    box = box_around(largest_component(tissue), margin=(padding,) * 3) if tissue.any() else None
    if box is None:
        raise UserError(f"CT shows nothing above {BODY_THRESHOLD_IN_HU:g} HU, so there is no body to crop to")
    return box


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest part of a mask whose voxels touch by their faces; the mask must not be empty."""
    components, number = ndimage.label(mask)
    if number == 1:
        return mask
    sizes = np.zeros(number + 1, dtype=np.int64)
    for plane in components:  # bincount of all at once would take 8 bytes more a voxel
        sizes += np.bincount(plane.ravel(), minlength=number + 1)
    sizes[0] = 0
    return components == sizes.argmax()
