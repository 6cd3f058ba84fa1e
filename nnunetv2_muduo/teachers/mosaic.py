"""Overlapping windows put together: every window is a cube of voxels, its neighbour lies half a cube further."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nnunetv2_muduo.teachers.tiling import blending_weights

Window = tuple[int, int, int]  # (z, y, x), in half windows from the first one


def blend(pieces: Mapping[Window, Tensor], *, low: Window, high: Window) -> tuple[Tensor, Tensor]:
    """What the windows say together over the box from window `low` to window `high`, both included.

    Args:
        pieces: window -> values [M, M, M] (z, y, x), M even; windows outside the box count where they reach into it.
        low, high: corners of the box.

    Returns:
        values [z, y, x] of M + (high - low) * M / 2 voxels along each axis: the mean of the windows that cover a voxel,
        with Gaussian weights that are largest in a window's centre; 0 where there is none. And bool of the same shape:
        covered by a window.

    Raises:
        ValueError: if there is no piece.
    """
    if not pieces:
        raise ValueError("there is nothing to blend")
    size = next(iter(pieces.values())).shape[-1]
    half = size // 2
    shape = [size + (last - first) * half for first, last in zip(low, high, strict=True)]
    device = next(iter(pieces.values())).device
    total, weights = torch.zeros(shape, device=device), torch.zeros(shape, device=device)
    weight = _gaussian(size).to(device)
    for window, values in pieces.items():
        offsets = [(at - first) * half for at, first in zip(window, low, strict=True)]
        target, source = zip(
            *[_overlap(offset, size, length) for offset, length in zip(offsets, shape, strict=True)], strict=True
        )
        total[target] += (values * weight)[source]
        weights[target] += weight[source]
    covered = weights > 0
    return torch.where(covered, total / weights.clamp_min(torch.finfo(torch.float32).tiny), 0.0), covered


def bounds(windows: Mapping[Window, Tensor]) -> tuple[Window, Window]:
    """The smallest box of windows that holds all of them: its low and its high corner."""
    corners = [(min(along), max(along)) for along in zip(*windows, strict=True)]
    (z0, z1), (y0, y1), (x0, x1) = corners
    return (z0, y0, x0), (z1, y1, x1)


def _gaussian(size: int) -> Tensor:
    along = blending_weights((torch.arange(size) + 0.5) / size - 0.5)
    return along[:, None, None] * along[:, None] * along


def _overlap(offset: int, size: int, length: int) -> tuple[slice, slice]:
    """Where a window of `size` voxels at `offset` covers an axis: which voxels of the axis, and which of the window."""
    start, stop = min(max(offset, 0), length), max(min(offset + size, length), 0)
    stop = max(start, stop)
    return slice(start, stop), slice(start - offset, stop - offset)
