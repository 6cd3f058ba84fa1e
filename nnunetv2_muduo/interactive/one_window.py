"""One target in one fixed window: the way the papers of both teachers measure them."""

import torch
from torch import Tensor

from nnunetv2_muduo.teachers.mosaic import Window
from nnunetv2_muduo.teachers.windows import ScanWindows

CENTRAL: Window = (0, 0, 0)


class OneWindowSession:
    """Clicks in, a mask of one window out: a zero mask first, then the previous logits (METHODS.md, section 2).

    Unlike `PromptSession` it never leaves the window, wherever the clicks lie in it.

    Args:
        scan: the windows of a scan, centred on the target.

    Attributes:
        logits: window -> [M, M, M] (z, y, x); the central one only.
    """

    def __init__(self, scan: ScanWindows) -> None:
        self.scan = scan
        self.coords, self.labels = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
        self.logits: dict[Window, Tensor] = {}

    def click(self, coords: Tensor, labels: Tensor) -> None:
        """Add points [N, 3] (z, y, x), the centre of the scan's first voxel at 0.5, with labels [N] 1 or 0; ask."""
        voxels, _ = self.scan.points(CENTRAL, coords.float())
        self.coords, self.labels = torch.cat([self.coords, voxels]), torch.cat([self.labels, labels.long()])
        before = self.logits.get(CENTRAL, torch.zeros(3 * (self.scan.spec.mask_size,)))
        self.logits = {CENTRAL: self.scan.decode(CENTRAL, self.coords[None], self.labels[None], before[None])[0]}

    def result(self) -> tuple[Tensor, tuple[slice, slice, slice]]:
        """Logits [z, y, x] of the part of the scan that the window covers, and which part."""
        return self.scan.to_scan(self.logits)


def part_in_window(scan: ScanWindows) -> tuple[slice, ...]:
    """The voxels of the scan whose centres lie in the central window."""
    starts, lengths = scan.start(CENTRAL), scan.volume.shape
    parts = []
    for start, extent, length in zip(starts, scan.extent, lengths, strict=True):
        inside = (torch.arange(length) + 0.5 >= start) & (torch.arange(length) + 0.5 <= start + extent)
        first = int(inside.int().argmax())
        parts.append(slice(first, first + int(inside.sum())))
    return tuple(parts)
