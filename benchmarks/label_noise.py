"""Labels as careless annotators leave them: some organs eroded, dilated, shifted or cut."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

KINDS = ("eroded", "dilated", "shifted", "missing part")
LARGEST_SHIFT_IN_VOXELS = 3


def corrupt_labels(
    labels: np.ndarray, targets: Mapping[str, tuple[int, ...]], *, share: float, rng: np.random.Generator
) -> np.ndarray:
    """A copy of a label map in which about `share` of the targets are spoiled, each in one of `KINDS`.

    A spoiled target never loses all its voxels. It takes voxels of no target only, so the others keep theirs.

    Args:
        labels: [Z, Y, X], any integers; labels of no target are kept where no target comes to lie.
        targets: name -> labels united to this target; the first of them marks voxels that are added.
        share: probability that a target is spoiled.
        rng: source of randomness.
    """
    members = [label for wanted in targets.values() for label in wanted]
    spoiled = labels.copy()
    for wanted in targets.values():
        mask = np.isin(labels, wanted)
        if rng.random() >= share or not mask.any():
            continue
        changed = _spoil(mask, KINDS[rng.integers(len(KINDS))], rng)
        if not changed.any():
            continue
        spoiled[mask & ~changed] = 0
        spoiled[changed & ~mask & ~np.isin(spoiled, members)] = wanted[0]
    return spoiled


def _spoil(mask: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """One mask, bool [Z, Y, X], eroded or dilated by 1 or 2 voxels, shifted, or without a part beyond a plane."""
    if kind == "eroded":
        return ndimage.binary_erosion(mask, iterations=int(rng.integers(1, 3)))
    if kind == "dilated":
        return ndimage.binary_dilation(mask, iterations=int(rng.integers(1, 3)))
    if kind == "shifted":
        offset = rng.integers(-LARGEST_SHIFT_IN_VOXELS, LARGEST_SHIFT_IN_VOXELS + 1, 3)
        return ndimage.shift(mask.astype(np.uint8), offset, order=0) > 0
    normal = rng.normal(size=3)
    voxels = np.argwhere(mask)
    height = voxels @ (normal / np.linalg.norm(normal))
    kept = np.zeros_like(mask)
    kept[tuple(voxels[height >= np.quantile(height, rng.uniform(0.2, 0.5))].T)] = True
    return kept
