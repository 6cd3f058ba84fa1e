"""Which windows a mask needs, and what is asked in each of them."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from nnunetv2_muduo.prompting import points_from_masks
from nnunetv2_muduo.teachers.mosaic import Window
from nnunetv2_muduo.teachers.windows import ScanWindows

_LEAST_PROBABILITY = 1e-4  # mask prompts stay within +-9.2, the range of the teachers' own logits

Answers = dict[int, dict[Window, Tensor]]  # organ -> window -> logits [M, M, M] (z, y, x)
Prompts = dict[Window, dict[int, tuple[Tensor, ...]]]  # window -> organ -> what is asked about it


def ask_with_masks(scan: ScanWindows, labels: Tensor, organs: Sequence[int], *, kind: str = "logits") -> Answers:
    """Show a teacher each organ's mask, in every window that the organ needs; all organs of a window in one batch.

    Args:
        scan: each of its windows is encoded once.
        labels: [Z, Y, X] label map of the scan.
        organs: the labels to ask for; those that the map does not hold are left out of the answer.
        kind: of the mask prompt, "logits" or "probabilities".
    """
    prompts: Prompts = defaultdict(dict)
    for organ in organs:
        mask = labels == organ
        for window in scan.covering(mask):
            share = scan.mask(window, mask)
            prompts[window][organ] = (share.logit(eps=_LEAST_PROBABILITY) if kind == "logits" else share,)
    return _ask(prompts, lambda window, masks: scan.decode(window, None, None, masks))


def ask_with_points(
    scan: ScanWindows,
    labels: Tensor,
    organs: Sequence[int],
    *,
    points: int = 3,
    strategy: str = "spread",
    point_mask: str = "zeros",
    generator: torch.Generator | None = None,
) -> Answers:
    """Point a teacher at each organ, in every window that the organ needs; all organs of a window in one batch.

    Points lie on voxels of the organ inside the window.

    Args:
        scan, labels, organs: as in `ask_with_masks`.
        points: at most so many an organ and window.
        strategy: of `points_from_masks`; "uptake" looks at the scan itself.
        point_mask: sent along with them, a mask of "zeros" (as in the teachers' training) or "none" (as published).
        generator: for the strategy "random".
    """
    prompts: Prompts = defaultdict(dict)
    for organ in organs:
        mask = labels == organ
        for window in scan.covering(mask):
            prompts[window][organ] = _points_inside(
                scan, window, mask, points=points, strategy=strategy, generator=generator
            )
    size = scan.spec.mask_size

    def decode(window: Window, coords: Tensor, kinds: Tensor) -> Tensor:
        zeros = torch.zeros(1).expand(len(coords), size, size, size)
        return scan.decode(window, coords, kinds, zeros if point_mask == "zeros" else None)

    return _ask(prompts, decode)


def _points_inside(
    scan: ScanWindows, window: Window, mask: Tensor, *, points: int, strategy: str, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Coords [N, 3] in voxels of the window's S-cube (x, y, z) and labels [N] of one organ's points."""
    part = _voxels_inside(scan, window)
    uptake = scan.volume[part][None, None].float() if strategy == "uptake" else None
    coords, kinds = points_from_masks(
        mask[part][None, None], points=points, strategy=strategy, uptake=uptake, generator=generator
    )
    corner = torch.tensor([along.start for along in part])
    return scan.points(window, coords[0, 0] + corner + 0.5)[0], kinds[0, 0]


def _voxels_inside(scan: ScanWindows, window: Window) -> tuple[slice, ...]:
    """The voxels of the scan whose centres lie in a window."""
    return tuple(
        slice(max(0, math.ceil(start - 0.5)), max(0, min(length, math.floor(start + extent - 0.5) + 1)))
        for start, extent, length in zip(scan.start(window), scan.extent, scan.volume.shape, strict=True)
    )


def _ask(prompts: Mapping[Window, Mapping[int, tuple[Tensor, ...]]], decode: Callable[..., Tensor]) -> Answers:
    """Window by window, so that no more than one embedding has to be kept."""
    answers: Answers = defaultdict(dict)
    for window in sorted(prompts):
        asked = prompts[window]
        stacked = [torch.stack(kind) for kind in zip(*asked.values(), strict=True)]
        for organ, logits in zip(asked, decode(window, *stacked), strict=True):
            answers[organ][window] = logits
    return dict(answers)
