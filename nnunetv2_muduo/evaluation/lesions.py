"""Lesions that were made up or overlooked as a whole, as the autoPET challenge counts them."""

from typing import Final

import cc3d
import numpy as np

CONNECTIVITY: Final = 18  # voxels that share a face or an edge are one lesion


def untouched_voxels(mask: np.ndarray, other: np.ndarray) -> int:
    """Voxels in those connected components of a mask that have no voxel in common with another mask.

    Of a prediction against its reference, times the voxel's volume, this is autoPET's false-positive volume; of a
    reference against the prediction its false-negative volume (val_script.py of github.com/lab-midas/autoPET, where the
    connectivity is 18 as well).

    Args:
        mask, other: [Z, Y, X] bool.
    """
    components = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=CONNECTIVITY)
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    sizes[np.unique(components[other])] = 0
    return int(sizes.sum())
