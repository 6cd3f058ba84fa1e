"""A teacher's view of a batch whose scans are not all stored alike."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from nnunetv2_muduo.teachers.view import TeacherView


class MixedViews:
    """What `TeacherView` does, with a view of its own for each patch of a batch.

    Args:
        views: of the B patches, of one teacher and with equally many cubes.
    """

    def __init__(self, views: Sequence["TeacherView"]) -> None:
        self.views = tuple(views)
        self.n_cubes = views[0].n_cubes

    def images(self, raw: Tensor) -> Tensor:
        return self._joined(lambda view, one: view.images(one), raw.split(1))

    def masks(self, masks: Tensor) -> Tensor:
        return self._joined(lambda view, one: view.masks(one), masks.split(1))

    def low_resolution_masks(self, masks: Tensor) -> Tensor:
        return self._joined(lambda view, one: view.low_resolution_masks(one), masks.split(1))

    def as_seen(self, masks: Tensor) -> Tensor:
        return self._joined(lambda view, one: view.as_seen(one), masks.split(1))

    def points(self, coords: Tensor, labels: Tensor, *, as_seen: bool = False) -> tuple[Tensor, Tensor]:
        pairs = zip(self.views, coords.split(1), labels.split(1), strict=True)
        found = [view.points(one, its_labels, as_seen=as_seen) for view, one, its_labels in pairs]
        return torch.cat([there for there, _ in found]), torch.cat([their_labels for _, their_labels in found])

    def back(self, logits: Tensor, valid: Tensor | None = None) -> Tensor:
        validity = [None] * len(self.views) if valid is None else valid.split(self.n_cubes)
        cubes = logits.split(self.n_cubes)
        return torch.cat([view.back(*one) for view, *one in zip(self.views, cubes, validity, strict=True)])

    def _joined(self, work: Callable[["TeacherView", Tensor], Tensor], patches: Iterable[Tensor]) -> Tensor:
        return torch.cat([work(view, one) for view, one in zip(self.views, patches, strict=True)])
