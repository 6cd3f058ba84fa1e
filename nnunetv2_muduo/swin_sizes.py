"""The published sizes of SwinUNETR-v2, and what they ask of a patch."""

from collections.abc import Sequence
from dataclasses import dataclass

PATCH_MULTIPLE = 32  # of every edge: tokens of 2 voxels, merged four times
HEADS = (3, 6, 12, 24)  # of attention in the four stages; not published, so MONAI's own


@dataclass(frozen=True)
class SwinSize:
    """A size of the network.

    Attributes:
        depths: transformer blocks in each of the four stages.
        features: of the first stage; they double from stage to stage.
    """

    depths: tuple[int, int, int, int]
    features: int


# arXiv 2605.21835, the variants beside nnU-Net's own U-Net
SIZES = {
    "small": SwinSize((2, 2, 2, 2), 24),
    "base": SwinSize((2, 2, 6, 2), 48),
    "large": SwinSize((2, 2, 18, 2), 96),
}


def fits(patch_size: Sequence[int]) -> bool:
    """Whether a patch, in voxels, can be halved as often as the network does and leaves more than one voxel to norm."""
    return all(edge % PATCH_MULTIPLE == 0 for edge in patch_size) and max(patch_size) > PATCH_MULTIPLE


def fitting_patches(patch_size: Sequence[int]) -> list[tuple[int, ...]]:
    """The patches in voxels that fit next to one that does not: edges rounded down, up, or doubled; smallest first."""
    smaller = tuple(max(1, edge // PATCH_MULTIPLE) * PATCH_MULTIPLE for edge in patch_size)
    larger = tuple(-(-edge // PATCH_MULTIPLE) * PATCH_MULTIPLE for edge in patch_size)
    nearest = [patch for patch in dict.fromkeys((smaller, larger)) if fits(patch)]
    return nearest or [tuple(2 * edge for edge in larger)]
