"""Patches as a student sees them that are turned and scaled, as labelled patches are, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample


@dataclass(frozen=True)
class SpatialView:
    """B patches, each turned and scaled about its middle by a motion of its own.

    Attributes:
        matrices: [B, 3, 3] from a place in the view to the place in the patch that it shows, as `affine_grid` has them:
            (x, y, z) of -1 to 1.
    """

    matrices: NDArray[np.floating]

    @property
    def moved(self) -> list[int]:
        """Numbers of the patches that are not left exactly as they are."""
        return np.flatnonzero((self.matrices != np.eye(3)).any((1, 2))).tolist()

    def of(self, images: Tensor) -> Tensor:
        """Images [B, C, Z, Y, X] in the view, linearly between voxels; 0 where the patch does not reach."""
        moved = self.moved
        if not moved:
            return images
        affine = torch.as_tensor(np.pad(self.matrices[moved], ((0, 0), (0, 0), (0, 1)))).to(images)
        grid = affine_grid(affine, [len(moved), *images.shape[1:]], align_corners=False)
        seen = images.clone()
        seen[moved] = grid_sample(images[moved], grid, padding_mode="zeros", align_corners=False)
        return seen

    def of_masks(self, masks: Tensor) -> Tensor:
        """Masks [B, K, Z, Y, X] (bool) in the view; nothing where the patch does not reach."""
        return self.of(masks.float()) > 0.5 if self.moved else masks

    def undone(self, seen: Tensor) -> Tensor:
        """Values [B, K, Z, Y, X] of the view back in the patch; 0 for what is not in the view."""
        return SpatialView(np.linalg.inv(self.matrices)).of(seen)


@dataclass(frozen=True)
class MotionRanges:
    """How often and how far patches are moved.

    Attributes:
        p_rotation, p_scaling: chance of a patch to be turned, and, independently, to be scaled.
        largest_angle: about each axis, to either side, in radians.
        scales: the smallest and the largest, below and above 1.
        in_plane: turn about z alone, and leave z unscaled ("dummy 2d" augmentation).
    """

    p_rotation: float
    largest_angle: float
    p_scaling: float
    scales: tuple[float, float]
    in_plane: bool


def draw_view(
    patches: int, *, ranges: MotionRanges, extent_in_mm: Sequence[float], generator: np.random.Generator
) -> SpatialView:
    """Draw a view: angles evenly from their range, scales below and above 1 equally often.

    Args:
        patches: how many.
        ranges: of the motions.
        extent_in_mm: of a patch, along (z, y, x).
        generator: source of the draws.
    """
    turned, scaled = generator.random(patches) < ranges.p_rotation, generator.random(patches) < ranges.p_scaling
    angles = generator.uniform(-ranges.largest_angle, ranges.largest_angle, (patches, 3)) * turned[:, None]
    smaller, larger = generator.uniform(ranges.scales[0], 1, patches), generator.uniform(1, ranges.scales[1], patches)
    scale = np.where(generator.random(patches) < 0.5, smaller, larger)
    scales = np.where(scaled, scale, 1.0)[:, None].repeat(3, 1)
    if ranges.in_plane:
        angles[:, :2], scales[:, 2] = 0.0, 1.0
    return spatial_view(angles, scales, extent_in_mm=extent_in_mm)


def spatial_view(angles: ArrayLike, scales: ArrayLike, *, extent_in_mm: Sequence[float]) -> SpatialView:
    """The view of given motions, which are rigid and scale in mm whatever the voxels' shape.

    Args:
        angles: [B, 3] about the x, y and z axis, in radians, applied in this order.
        scales: [B, 3] along x, y and z, applied first; above 1 the view shows more, and everything smaller.
        extent_in_mm: of a patch, along (z, y, x).
    """
    angles, scales = np.asarray(angles, float), np.asarray(scales, float)
    in_mm = Rotation.from_euler("xyz", angles).as_matrix() * scales[:, None, :]
    half = np.asarray(extent_in_mm, float)[::-1] / 2
    return SpatialView(in_mm * half / half[:, None])
