"""One target of one scan, prompted step by step: windows are asked where prompts lie and follow the mask."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from nnunetv2_muduo.prompting import points_from_masks
from nnunetv2_muduo.teachers.mosaic import Window, blend
from nnunetv2_muduo.teachers.windows import ScanWindows

_SHELL = 1 / 16  # of a window's edge: a mask that comes so near to a face goes on beyond it
_MARGIN = 1 / 8  # of a window's edge: prompts that keep so far from all faces need one window only
_LEAST_PROBABILITY = 1e-4  # logits of a given mask lie within +-9.2, the range of the teachers' own


class PromptSession:
    """What a user sees of a promptable teacher: prompts in, a mask of the scan out, better with every prompt.

    The first prompt is sent with a zero mask, every later one with the previous logits (the scheme both teachers were
    trained with). Points all in the middle of one window are asked for there, as published; later ones in
    every window that has answered and holds them, too. A mask that touches a face
    of its window is followed into the next window, half a window further, which is prompted with the logits known so
    far and a point in the middle of the mask known so far; where windows overlap their logits are blended.

    Args:
        scan: the windows of a scan; sessions of several targets share its embeddings.
        follow: follow the mask beyond the windows with prompts.
        most_windows: stop following after so many.
        on_window: is told how many windows have been asked, after each of them.

    Attributes:
        logits: window -> [M, M, M] (z, y, x), every window asked so far.
        stopped: the mask would have gone on, but `most_windows` were reached.
    """

    def __init__(
        self,
        scan: ScanWindows,
        *,
        follow: bool = True,
        most_windows: int = 64,
        on_window: Callable[[int], object] = lambda number: None,
    ) -> None:
        self.scan, self.follow, self.most_windows, self.on_window = scan, follow, most_windows, on_window
        self.coords, self.labels = torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64)
        self.logits: dict[Window, Tensor] = {}
        self.stopped = False

    def click(self, coords: Tensor, labels: Tensor) -> None:
        """Add points and ask where they lie, in every window that has answered before, too: its answer is blended in.

        Args:
            coords: [N, 3] positions in the scan (z, y, x), the centre of the first voxel at 0.5.
            labels: [N] 1 foreground, 0 background.

        Raises:
            ValueError: if the very first points hold no foreground, and there is no mask either.
        """
        if not self.logits and not (labels == 1).any():
            raise ValueError("the first prompt needs a foreground point")
        self.coords, self.labels = torch.cat([self.coords, coords.float()]), torch.cat([self.labels, labels.long()])
        windows = self._windows_around(coords if self.logits else coords[labels == 1])
        self._ask([*windows, *(window for window in self.logits if self._holds_any(window, coords))])

    def rough_mask(self, mask: Tensor) -> None:
        """Begin with a mask or probabilities [Z, Y, X] of the scan, in [0, 1].

        Raises:
            ValueError: if the mask is empty.
        """
        where = (mask > 0.5).nonzero()
        if not len(where):
            raise ValueError("the mask is empty")
        windows = self._windows_around(torch.stack([where.amin(0).float(), where.amax(0).float() + 1]))
        if len(windows) > 1:
            windows = self.scan.covering(mask > 0.5)
        hints = {window: self.scan.mask(window, mask).logit(eps=_LEAST_PROBABILITY) for window in windows}
        self._ask(windows, hints)

    def result(self) -> tuple[Tensor, tuple[slice, slice, slice]]:
        """Logits [z, y, x] of a part of the scan, and which part; everywhere else is background."""
        return self.scan.to_scan(self.logits)

    def _windows_around(self, positions: Tensor) -> list[Window]:
        """One window where all positions [N, 3] keep away from its faces, asked before if possible; else several."""
        middle = ((positions.amin(0) + positions.amax(0)) / 2).tolist()
        asked = sorted(self.logits, key=lambda window: self.scan.distance(window, middle))
        for window in [*asked, self.scan.nearest(middle)]:
            voxels, _ = self.scan.points(window, positions)
            size = self.scan.spec.cube_size
            if ((voxels > _MARGIN * size) & (voxels < (1 - _MARGIN) * size)).all():
                return [window]
        return sorted({self.scan.nearest(position) for position in positions.tolist()})

    def _holds_any(self, window: Window, positions: Tensor) -> bool:
        _, inside = self.scan.points(window, positions)
        return bool(inside.any())

    def _ask(self, windows: Iterable[Window], hints: Mapping[Window, Tensor] | None = None) -> None:
        """Ask these windows, then those that the mask grows into; each once."""
        queue = deque(windows)
        done: set[Window] = set()
        while queue:
            window = queue.popleft()
            if window in done or not self.scan.reaches_into_scan(window):
                continue
            done.add(window)
            hint = None if hints is None else hints.get(window)
            goes_on = self._ask_one(window, hint)
            self.on_window(len(self.logits))
            if goes_on and self.follow:
                further = [other for other in self._grown_into(window) if other not in self.logits]
                room = max(0, self.most_windows - len(self.logits) - len(set(queue) - done))
                self.stopped |= len(set(further) - set(queue)) > room
                queue.extend(further[:room])

    def _ask_one(self, window: Window, hint: Tensor | None) -> bool:
        """Decode one window with all that is known about it; False where nothing is, so that it is left alone.

        Args:
            window: where.
            hint: logits [M, M, M] (z, y, x) of the target from elsewhere; None: those known so far.
        """
        coords, inside = self.scan.points(window, self.coords)
        coords, labels = coords[inside], self.labels[inside]
        if hint is None:
            hint = self._known(window)
            if not (labels == 1).any():
                if not (hint > 0).any():
                    return False
                coords = torch.cat([coords, self._middle(hint > 0)[None]])
                labels = torch.cat([labels, torch.ones(1, dtype=torch.int64)])
        any_points = len(labels) > 0
        self.logits[window] = self.scan.decode(
            window, coords[None] if any_points else None, labels[None] if any_points else None, hint[None]
        )[0]
        return True

    def _known(self, window: Window) -> Tensor:
        """Logits [M, M, M] (z, y, x) of a window from all windows asked so far; 0 where nothing is known."""
        if not self.logits:
            return torch.zeros(3 * (self.scan.spec.mask_size,))
        return blend(self.logits, low=window, high=window)[0]

    def _middle(self, mask: Tensor) -> Tensor:
        """A point [3] (x, y, z) in voxels of the S-cube, in the middle of a mask [M, M, M] (z, y, x), inside it."""
        point, _ = points_from_masks(mask[None, None], points=1, strategy="centroid")
        ratio = self.scan.spec.cube_size / self.scan.spec.mask_size
        return ((point[0, 0, 0] + 0.5) * ratio - 0.5).flip(-1)

    def _grown_into(self, window: Window) -> list[Window]:
        """The neighbours behind those faces of a window that the mask touches, where the scan goes on."""
        mosaic = self._known(window)
        size = mosaic.shape[0]
        shell = max(1, round(_SHELL * size))
        neighbours = []
        for axis in range(3):
            near = self.scan.start(window)[axis]
            far, length = near + self.scan.extent[axis], self.scan.volume.shape[axis]
            for sign, begin, goes_on in ((-1, 0, near > 0), (1, size - shell, far < length)):
                if goes_on and (mosaic.narrow(axis, begin, shell) > 0).any():
                    z, y, x = (step + (sign if axis == index else 0) for index, step in enumerate(window))
                    neighbours.append((z, y, x))
        return neighbours
