"""PET against CT around the diaphragm: CT is one moment of the breath, PET its mean."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nnunetv2_muduo.datasets.fields import Grid
from nnunetv2_muduo.datasets.tissues import Tissue

_REACH_UP_IN_MM = 170.0
_REACH_DOWN_IN_MM = 230.0


@dataclass(frozen=True)
class Breathing:
    """How far organs at the diaphragm lie higher in PET than in CT, and how far they swing during the PET, in mm."""

    shift_in_mm: float
    swing_in_mm: float


def draw_breathing(rng: np.random.Generator) -> Breathing:
    """A breath at random: 3 to 15 mm, mostly upwards (CT in shallow inspiration), swinging 3 to 9 mm."""
    direction = 1.0 if rng.random() < 0.75 else -1.0
    return Breathing(float(direction * rng.uniform(3, 15)), float(rng.uniform(3, 9)))


def breathing_profile(tissues: np.ndarray, spacing_in_mm: tuple[float, float, float]) -> np.ndarray:
    """The share of the diaphragm's motion that each voxel follows, float32 [Z,Y,X] in [0, 1].

    1 at the diaphragm (the lowest tenth of the lungs), falling smoothly to exactly 0 at 170 mm above and 230 mm below
    it, and less at the back, where spine and ribs hold still. All zeros for a map without lungs.
    """
    grid = Grid.of_shape(tissues.shape, spacing_in_mm)
    z, y, _ = grid.axes_in_mm()
    lung_voxels = (tissues == Tissue.LUNG).sum(axis=(1, 2))
    if lung_voxels.sum() == 0:
        return np.zeros(tissues.shape, np.float32)
    filled = np.cumsum(lung_voxels) / lung_voxels.sum()
    distance = z - z[int(np.searchsorted(filled, 0.1))]
    distance = np.where(distance > 0, distance / _REACH_UP_IN_MM, distance / _REACH_DOWN_IN_MM)
    along_z = np.where(np.abs(distance) < 1, np.cos(np.pi / 2 * np.clip(distance, -1, 1)) ** 2, 0)
    rows = np.flatnonzero((tissues != Tissue.AIR).any(axis=(0, 2)))
    depth = (y - y[rows[0]]) / max(float(y[rows[-1]] - y[rows[0]]), 1e-6)  # 0 front, 1 back
    along_y = np.interp(depth, (0, 0.6, 0.95), (1.0, 1.0, 0.35))
    profile = along_z[:, None, None] * along_y[None, :, None] * np.ones((1, 1, tissues.shape[2]))
    return profile.astype(np.float32)


def breathe(
    image: np.ndarray, profile: np.ndarray, *, breathing: Breathing, spacing_in_mm: tuple[float, float, float]
) -> np.ndarray:
    """`image` [Z,Y,X] moved up by `breathing` where `profile` is above 0, averaged over three phases of the swing."""
    rows = np.flatnonzero(profile.any(axis=(1, 2)))
    if rows.size == 0:
        return image
    reach = int(np.ceil((abs(breathing.shift_in_mm) + breathing.swing_in_mm) / spacing_in_mm[0])) + 1
    start, stop = max(0, int(rows[0]) - reach), min(len(image), int(rows[-1]) + 1 + reach)
    part, share = image[start:stop], profile[start:stop]
    nearby = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in part.shape), indexing="ij")
    mean = np.zeros_like(part)
    for phase in (-0.5, 0.0, 0.5):
        shift = share * np.float32((breathing.shift_in_mm + phase * breathing.swing_in_mm) / spacing_in_mm[0])
        mean += ndimage.map_coordinates(part, [nearby[0] - shift, nearby[1], nearby[2]], order=1, mode="nearest") / 3
    moved = image.copy()
    moved[start:stop] = np.where(share > 0, mean, part)
    return moved
