"""A teacher's view of patches from scans that are stored mirrored to what the teacher knows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from nnunetv2_muduo.teachers.view import TeacherView

_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "I": "S", "S": "I"}


def mirrored_axes(stored: str, wanted: str) -> tuple[int, ...] | None:
    """The axes of a scan's array, of (z, y, x), that grow against the wanted ones.

    Args:
        stored: which way x, y and z of the scan grow.
        wanted: which way they should.

    Returns:
        Numbers among 0, 1 and 2, ascending; None where the axes are in another order, which no mirror puts right.
    """
    if any(is_ not in (want, _OPPOSITE[want]) for is_, want in zip(stored, wanted, strict=True)):
        return None
    return tuple(axis for axis in range(3) if stored[2 - axis] != wanted[2 - axis])


class MirroredView:
    """What `TeacherView` does, with each patch mirrored on its way to the teacher and the answer on its way back.

    Args:
        view: of patches that lie as the teacher knows patients.
        axes: for each of the B patches of a batch, those of its axes 0, 1 and 2 that run the other way.
    """

    def __init__(self, view: "TeacherView", axes: Sequence[Sequence[int]]) -> None:
        self.view = view
        self.axes = tuple(tuple(own) for own in axes)
        self.n_cubes = view.n_cubes

    def images(self, raw: Tensor) -> Tensor:
        return self.view.images(self._mirrored(raw))

    def masks(self, masks: Tensor) -> Tensor:
        return self.view.masks(self._mirrored(masks))

    def low_resolution_masks(self, masks: Tensor) -> Tensor:
        return self.view.low_resolution_masks(self._mirrored(masks))

    def points(self, coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        far_ends = torch.tensor(self.view.patch_size, device=coords.device) - 1
        runs_backwards = torch.tensor([[axis in own for axis in range(3)] for own in self.axes], device=coords.device)
        return self.view.points(torch.where(runs_backwards[:, None, None], far_ends - coords, coords), labels)

    def back(self, logits: Tensor, valid: Tensor | None = None) -> Tensor:
        return self._mirrored(self.view.back(logits, valid))

    def _mirrored(self, volumes: Tensor) -> Tensor:
        """[B, C, Z, Y, X], each of the B mirrored along its own axes."""
        if len(volumes) != len(self.axes):
            raise ValueError(f"expected {len(self.axes)} patches, got {len(volumes)}")
        pairs = zip(volumes, self.axes, strict=True)
        return torch.stack([volume.flip([axis + 1 for axis in own]) for volume, own in pairs])
