"""Cubes laid along an axis of a patch, and the linear maps between their grids.

Positions are in patch voxels and measured from the patch's near edge: voxel i reaches from i to i + 1, its centre is
at i + 0.5. Resampling is separable, so everything is one small matrix per axis: it holds where the cubes lie, how
voxels are interpolated or averaged and, on the way back, how overlapping cubes are blended.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_SIGMA = 1 / 8  # of the Gaussian that blends overlapping cubes, as a share of the cube's edge
_TOLERANCE = 1e-6  # of a cube's edge: spacings are rounded numbers


@dataclass(frozen=True)
class TiledAxis:
    """One axis of a patch and the equal cubes laid along it.

    Attributes:
        length: of the patch, in voxels.
        starts: where the cubes begin, ascending; negative where a cube is longer than the patch.
        extent: edge length of a cube in patch voxels.
    """

    length: int
    starts: tuple[float, ...]
    extent: float

    @property
    def padded(self) -> bool:
        """Whether the cube reaches beyond the patch."""
        return self.extent > self.length * (1 + _TOLERANCE)


def lay_cubes(length: int, extent: float, *, least_overlap: float) -> TiledAxis:
    """As few cubes as cover an axis, evenly spaced, the first and the last flush with the patch.

    Args:
        length: of the patch in voxels.
        extent: edge length of a cube in patch voxels; a cube longer than the patch is centred on it.
        least_overlap: neighbouring cubes share at least this part of their edge.
    """
    surplus = length - extent
    if surplus <= extent * _TOLERANCE:
        return TiledAxis(length, (surplus / 2 if -surplus > extent * _TOLERANCE else 0.0,), extent)
    steps = math.ceil(surplus / (extent * (1 - least_overlap)) - _TOLERANCE)
    return TiledAxis(length, tuple(surplus * step / steps for step in range(steps + 1)), extent)


def weights_to_cubes(axis: TiledAxis, size: int) -> Tensor:
    """Patch -> cubes of `size` voxels: float32 [cubes * size, length]; zero rows lie outside the patch."""
    step = axis.extent / size
    centres = torch.arange(size, dtype=torch.float64) + 0.5
    return torch.cat(
        [resampling_weights(start + centres * step, step, count=axis.length) for start in axis.starts]
    ).float()


def weights_from_cubes(axis: TiledAxis, size: int) -> Tensor:
    """Cubes of `size` voxels -> patch: float32 [length, cubes * size]; overlaps are blended with Gaussian weights.

    Each row sums to 1, so that constant cubes give a constant patch.
    """
    step = axis.extent / size
    centres = torch.arange(axis.length, dtype=torch.float64) + 0.5
    resampled, blend = [], []
    for start in axis.starts:
        resampled.append(resampling_weights((centres - start) / step, 1 / step, count=size))
        off_centre = (centres - start) / axis.extent - 0.5
        blend.append(torch.where(off_centre.abs() <= 0.5, blending_weights(off_centre), 0.0))
    shares = torch.stack(blend) / torch.stack(blend).sum(0)
    return torch.cat(
        [share[:, None] * weights for share, weights in zip(shares, resampled, strict=True)], dim=1
    ).float()


def blending_weights(off_centre: Tensor) -> Tensor:
    """What voxels of a cube count where cubes overlap: a Gaussian, next to nothing at the border.

    Args:
        off_centre: how far they lie from the cube's middle, along one axis, in edges of the cube.
    """
    return torch.exp(-0.5 * (off_centre / _SIGMA) ** 2)


def resampling_weights(centres: Tensor, ratio: float, *, count: int) -> Tensor:
    """Weights of `count` input cells for output cells: interpolation to a finer grid, averaging to a coarser one.

    Averaging takes the part of each input cell that an output cell covers, so that nothing small falls between the
    samples. It equals linear interpolation at ratio 1. At the borders the outermost cell continues, as in
    `interpolate(align_corners=False)`.

    Args:
        centres: [R] centres of the output cells, in input cells from the near edge of the first.
        ratio: width of an output cell over that of an input cell.
        count: number of input cells.

    Returns:
        [R, count] in the dtype of `centres`; rows sum to 1, or are zero for a centre outside of 0 .. count.
    """
    if ratio <= 1:
        positions = (centres - 0.5).clamp(0, count - 1)[:, None]
        weights = (1 - (positions - torch.arange(count)).abs()).clamp(min=0)
    else:
        near = torch.maximum(centres[:, None] - ratio / 2, torch.arange(count))
        far = torch.minimum(centres[:, None] + ratio / 2, torch.arange(count) + 1)
        weights = (far - near).clamp(min=0)
    inside = (centres >= 0) & (centres <= count)
    return torch.where(inside[:, None], weights / weights.sum(1, keepdim=True).clamp(min=1e-12), 0.0)


class SeparableMap:
    """A linear map of volumes [..., Z, Y, X], one matrix per axis, computed in float32 on the volume's device.

    Args:
        matrices: for Z, Y and X, float32 [size after, size before].
    """

    def __init__(self, matrices: Sequence[Tensor]) -> None:
        self._matrices = {torch.device("cpu"): list(matrices)}
        shrink_first = sorted(range(3), key=lambda axis: matrices[axis].shape[0] / matrices[axis].shape[1])
        self._axes = [axis for axis in shrink_first if not _is_identity(matrices[axis])]

    def __call__(self, volumes: Tensor) -> Tensor:
        """Map [..., Z, Y, X]; where the grids are the same, the very same values come out."""
        with torch.autocast(volumes.device.type, enabled=False):  # HU need more than bfloat16's eight bits
            volumes = volumes.float()
            for axis in self._axes:
                matrix = self._on(volumes.device)[axis]
                if axis == 0:
                    volumes = (matrix @ volumes.flatten(-2)).unflatten(-1, volumes.shape[-2:])
                elif axis == 1:
                    volumes = matrix @ volumes
                else:
                    volumes = volumes @ matrix.T
        return volumes

    def _on(self, device: torch.device) -> list[Tensor]:
        if device not in self._matrices:
            with torch.inference_mode(False):  # kept for later calls, which may want gradients
                self._matrices[device] = [matrix.to(device) for matrix in self._matrices[torch.device("cpu")]]
        return self._matrices[device]


def _is_identity(matrix: Tensor) -> bool:
    return matrix.shape[0] == matrix.shape[1] and torch.equal(matrix, torch.eye(len(matrix)))
