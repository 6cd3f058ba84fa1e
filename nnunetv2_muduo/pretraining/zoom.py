"""Zoom augmentation: a smaller or larger region of the scan fills the patch. The factor is drawn elsewhere."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import interpolate


def size_before_zoom(patch_size: Sequence[int], factor: float) -> tuple[int, ...]:
    """Voxels (Z, Y, X) of the region that fills a patch when zoomed by `factor`; at least one on each axis.

    A factor of 1.1 shows everything a tenth larger, so the region is smaller than the patch. Nothing has to be padded
    with a factor below 1, because the region is then cut larger out of the scan.

    Raises:
        ValueError: for a factor of 0 or below.
    """
    if factor <= 0:
        raise ValueError(f"factor must be above 0, not {factor}")
    return tuple(max(1, round(size / factor)) for size in patch_size)


def zoomed(region: Tensor, patch_size: Sequence[int]) -> Tensor:
    """Resample a region [C, Z, Y, X] to a patch [C, *patch_size], linearly; unchanged where it has that size."""
    if tuple(region.shape[1:]) == tuple(patch_size):
        return region
    return interpolate(region[None], size=tuple(patch_size), mode="trilinear", align_corners=False)[0]
