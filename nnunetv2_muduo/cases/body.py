"""Where the body is, so that crops of a scan do not show the room around it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nnunetv2_muduo.datasets.body_box import BODY_THRESHOLD_IN_HU, largest_component

UPTAKE_THRESHOLD_IN_SUV = 0.1  # above the noise of air, below any tissue
_STEP_IN_MM = 4.0  # the body is looked for on a grid about this coarse; it only has to guide crops


def body_mask(ct: NDArray, pet: NDArray, *, axial_axis: int = 0) -> NDArray[np.bool_]:
    """The patient without table and room: the largest component above -500 HU, lungs and airways filled.

    Where CT shows nothing above -500 HU, PET above 0.1 SUV is taken, and where that is empty too, the whole volume.

    Args:
        ct: [Z, Y, X] HU.
        pet: [Z, Y, X] SUV on the same grid.
        axial_axis: the axis along the patient; holes are filled slice by slice across it, because the ends of the scan
            leave lungs and airways open in 3d.

    Returns:
        [Z, Y, X], never empty.
    """
    for tissue in (ct > BODY_THRESHOLD_IN_HU, pet > UPTAKE_THRESHOLD_IN_SUV):
        if tissue.any():
            return _fill_slices(largest_component(tissue), axial_axis)
    return np.ones(ct.shape, dtype=bool)


def sample_body_locations(
    ct: NDArray,
    pet: NDArray,
    *,
    spacing_in_mm: Sequence[float],
    new_shape: Sequence[int],
    number: int,
    generator: np.random.Generator,
    axial_axis: int = 0,
) -> NDArray[np.int32]:
    """Voxels inside the body, drawn without replacement on the scan's grid and mapped to the resampled grid.

    Args:
        ct: [Z, Y, X] HU, before normalisation: clipping to percentiles of organs can lift air above the threshold.
        pet: [Z, Y, X] SUV.
        spacing_in_mm: of this grid, (z, y, x).
        new_shape: (Z, Y, X) of the resampled volume, which covers the same extent.
        number: at most so many.
        generator: source of the draw.
        axial_axis: see `body_mask`.

    Returns:
        [n, 3] (z, y, x) voxels of the resampled volume, n >= 1.
    """
    steps = [max(1, round(_STEP_IN_MM / spacing)) for spacing in spacing_in_mm]
    coarse = tuple(slice(None, None, step) for step in steps)
    inside = np.flatnonzero(mask := body_mask(ct[coarse], pet[coarse], axial_axis=axial_axis))
    chosen = generator.choice(inside, size=min(number, inside.size), replace=False)
    voxels = np.stack(np.unravel_index(chosen, mask.shape), axis=1) * steps
    scale = np.asarray(new_shape) / np.asarray(ct.shape)
    return np.floor((voxels + 0.5) * scale).astype(np.int32)


def _fill_slices(mask: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Fill what is enclosed within a slice: background components that do not reach the slice's border."""
    slices_first = np.moveaxis(mask, axis, 0)
    within_slice = np.zeros((3, 3, 3), dtype=bool)
    within_slice[1] = ndimage.generate_binary_structure(2, 1)
    background, number = ndimage.label(~slices_first, structure=within_slice)
    open_to_the_border = np.zeros(number + 1, dtype=bool)
    for border in (background[:, 0], background[:, -1], background[:, :, 0], background[:, :, -1]):
        open_to_the_border[border] = True
    open_to_the_border[0] = False
    return np.moveaxis(~open_to_the_border[background], 0, axis)
