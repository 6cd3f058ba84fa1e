"""The body around the organs: outline, subcutaneous fat, muscle, skeleton, airway and bowel.

Everything is drawn in the coordinates of a standard person (`Frame`); a person's own size and shape come from how the
frame maps voxels to those coordinates. Lengths are in mm.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nnunetv2_muduo.datasets.fields import Grid, smooth_field
from nnunetv2_muduo.datasets.shapes import Blob, Frame, blob_level, tube_mask
from nnunetv2_muduo.datasets.tissues import Tissue

CROWN_IN_MM = 912.0  # the standard person's height from the upper thighs

# The lean torso and neck (without fat): z, half width, half depth, y of the centre.
_TORSO = np.array(
    [
        (60, 150, 82, 5),
        (130, 168, 92, 5),
        (220, 160, 92, 5),
        (330, 137, 92, 5),
        (430, 146, 98, 3),
        (520, 156, 106, 0),
        (600, 160, 102, 0),
        (650, 168, 88, 8),
        (680, 145, 72, 12),
        (698, 88, 62, 12),
        (715, 57, 57, 10),
        (790, 50, 56, 8),
    ],
    np.float32,
)
_CAVITY = Blob((325, -14, 0), (168, 80, 120), exponent=2.6)
_SPINE = np.array([(160, 72, 0), (230, 58, 0), (290, 45, 0), (380, 54, 0), (480, 66, 0), (580, 68, 0), (680, 44, 0)])
_SPINES = _SPINE + np.array((0, 33, 0))  # the processes behind the canal
_NECK_SPINE = np.array([(680, 44, 0), (730, 24, 0), (775, 18, 0)])


@dataclass(frozen=True)
class Habitus:
    """What differs between persons besides size: fat layer [mm], arms, how much of the belly is bowel and gas."""

    fat_in_mm: float
    arms: Literal["down", "up", "none"]
    bowel_share: float
    gas_share: float


def draw_habitus(rng: np.random.Generator) -> Habitus:
    """A habitus at random; half of all persons keep their arms out of the picture, as PET/CT protocols ask."""
    arms: tuple[Literal["down", "up", "none"], ...] = ("down", "up", "none")
    return Habitus(
        fat_in_mm=float(np.clip(rng.lognormal(np.log(16), 0.4), 8, 38)),
        arms=arms[int(rng.choice(3, p=(0.25, 0.3, 0.45)))],
        bowel_share=float(rng.uniform(0.35, 0.65)),
        gas_share=float(rng.uniform(0.0, 0.06)),
    )


def draw_scaffold(grid: Grid, frame: Frame, habitus: Habitus, rng: np.random.Generator) -> np.ndarray:
    """Draw the body without its organs: a tissue map, uint8 [Z,Y,X]."""
    tissues = np.full(grid.shape, Tissue.AIR, np.uint8)
    tissues[body_mask(frame, habitus, habitus.fat_in_mm)] = Tissue.FAT
    lean = body_mask(frame, habitus, 0.0)
    tissues[lean] = Tissue.SOFT
    _fill_belly(tissues, grid, frame, habitus, rng)
    _draw_skeleton(tissues, frame, habitus)
    _draw_vessels(tissues, frame)
    tissues[~lean & (tissues == Tissue.BONE)] = Tissue.FAT
    return tissues


def body_mask(frame: Frame, habitus: Habitus, fat_in_mm: float) -> np.ndarray:
    """The body's mask [Z,Y,X] with a fat layer of this thickness on its lean outline (less on head and limbs)."""
    z = frame.z
    width, depth, middle = (np.interp(z, _TORSO[:, 0], _TORSO[:, i]).astype(np.float32) for i in (1, 2, 3))
    layer = np.interp(z, (600, 700, 760), (fat_in_mm, 0.6 * fat_in_mm, 0.3 * fat_in_mm)).astype(np.float32)
    belly = np.interp(z, (100, 230, 360, 480), (0, 1, 1, 0)).astype(np.float32)  # fat gathers in front
    front = np.where(frame.y < middle, 1 + 0.6 * belly, 0.8).astype(np.float32)
    across = np.abs(frame.x) / (width + layer)
    along = np.abs(frame.y - middle) / (depth + layer * front)
    mask = (across**2.5 + along**2.5 <= 1) & (z > 85) & (z < 785)
    for blob in _limbs_and_head(habitus, fat_in_mm):
        box, level = blob_level(frame, blob)
        mask[box] |= level <= 1
    return mask


def _limbs_and_head(habitus: Habitus, fat: float) -> list[Blob]:
    thin, skin = 0.6 * fat, min(fat, 4.0)
    blobs = [Blob((0, 0, side * 86), (150, 80 + thin, 74 + thin), exponent=3) for side in (-1, 1)]
    blobs.append(Blob((828, -4, 0), (80 + skin, 101 + skin, 80 + skin), exponent=2.2))
    blobs.append(Blob((765, -42, 0), (58 + skin, 58 + skin, 56 + skin), exponent=2.4))
    for side in (-1, 1):
        if habitus.arms == "down":
            blobs.append(
                Blob((440, 8, side * 208), (260, 34 + thin, 30 + thin), exponent=3, angles=(0, side * 0.05, 0))
            )
        if habitus.arms == "up":
            blobs.append(
                Blob((790, 0, side * 150), (180, 36 + thin, 32 + thin), exponent=3, angles=(0, side * 0.18, 0))
            )
        if habitus.arms != "none":
            blobs.append(Blob((655, 10, side * 172), (42 + thin, 40 + thin, 40 + thin)))
    return blobs


def _fill_belly(tissues: np.ndarray, grid: Grid, frame: Frame, habitus: Habitus, rng: np.random.Generator) -> None:
    """Fat with winding bowel and some gas inside the abdominal cavity, in place."""
    winding = smooth_field(grid, rng, wavelength_in_mm=38)
    gas = smooth_field(grid, rng, wavelength_in_mm=30)
    box, level = blob_level(frame, _CAVITY)
    belly = (level <= 1) & (tissues[box] == Tissue.SOFT)
    bowel = belly & (np.abs(winding[box]) < _normal_band(habitus.bowel_share)) & (level < 0.85)
    tissues[box][belly] = Tissue.FAT
    tissues[box][bowel] = Tissue.BOWEL
    # gas rises: it is found in front in a person lying on the back
    tissues[box][bowel & (gas[box] - frame.y[box] / 60 > 3.2 - 20 * habitus.gas_share)] = Tissue.BOWEL_GAS


def _normal_band(share: float) -> float:
    """The half width of the band around 0 that holds this share of a standard normal field (logistic approximation)."""
    return float(np.log((1 + share) / (1 - share)) / 1.702)


def _draw_skeleton(tissues: np.ndarray, frame: Frame, habitus: Habitus) -> None:
    _draw_ribs(tissues, frame)
    for path, radius in ((_SPINE, 21.0), (_NECK_SPINE, 14.0), (_SPINES, 8.0)):
        box, mask = tube_mask(frame, path, radius)
        tissues[box][mask] = Tissue.BONE
    for blob in _bones(habitus):
        box, level = blob_level(frame, blob)
        tissues[box][level <= 1] = Tissue.BONE
    _draw_shells(tissues, frame)


def _draw_ribs(tissues: np.ndarray, frame: Frame) -> None:
    """Slanted stripes on the shell of the rib cage, falling from back to front."""
    cage = Blob((545, 2, 0), (150, 101, 140), exponent=2.3)
    box, level = blob_level(frame, cage)
    z, y, x = frame.cut(box)
    phase = np.mod(z + 0.42 * y, 30.0)
    ribs = (level > 0.86) & (level <= 1) & (phase < 13) & (z > 430) & ((y > -70) | (np.abs(x) < 95))
    tissues[box][ribs & (tissues[box] != Tissue.AIR)] = Tissue.BONE


def _bones(habitus: Habitus) -> list[Blob]:
    bones = [
        Blob((200, 74, 0), (52, 16, 46), angles=(0, 0, 0.3)),  # sacrum
        Blob((560, -97, 0), (75, 7, 17), exponent=3),  # sternum
        Blob((108, -48, 0), (16, 13, 48)),  # pubis
        Blob((744, -66, 0), (10, 26, 38), exponent=2.5),  # chin
    ]
    for side in (-1, 1):
        bones += [
            Blob((143, 8, side * 88), (25, 25, 25)),  # hip joint
            Blob((112, 14, side * 112), (24, 18, 20)),  # greater trochanter
            Blob((55, 5, side * 98), (80, 14, 14), exponent=4),  # femur
            Blob((95, 45, side * 52), (28, 15, 15)),  # ischium
            Blob((605, 80, side * 92), (58, 6, 36), angles=(side * 0.35, 0, 0)),  # shoulder blade
            Blob((672, -42, side * 72), (7, 8, 62), angles=(side * -0.3, 0, 0)),  # collar bone
            Blob((650, 8, side * 146), (23, 22, 22)),  # head of the upper arm
        ]
        if habitus.arms == "down":
            bones.append(Blob((440, 8, side * 208), (235, 11, 11), exponent=4, angles=(0, side * 0.05, 0)))
        if habitus.arms == "up":
            bones.append(Blob((790, 0, side * 150), (165, 11, 11), exponent=4, angles=(0, side * 0.18, 0)))
    return bones


def _draw_shells(tissues: np.ndarray, frame: Frame) -> None:
    """Hollow bones: the wings of the pelvis and the skull, and the airway."""
    for side in (-1, 1):
        box, level = blob_level(frame, Blob((215, -8, side * 62), (82, 82, 72), exponent=2.2))
        _, y, x = frame.cut(box)
        wing = (level > 0.72) & (level <= 1) & (side * x > 45) & (y > -42)
        tissues[box][wing] = Tissue.BONE
    box, level = blob_level(frame, Blob((835, -2, 0), (71, 93, 71), exponent=2.2))
    tissues[box][level <= 1] = Tissue.BONE
    box, level = blob_level(frame, Blob((835, -2, 0), (63, 84, 63), exponent=2.2))
    tissues[box][level <= 1] = Tissue.SOFT
    for path, radius in (
        (np.array([(585, 6, 0), (650, 2, 0), (735, -12, 0), (770, -50, 0)]), 8.5),
        (np.array([(768, -30, 0), (785, -88, 0)]), 10.0),
    ):
        box, mask = tube_mask(frame, path, radius)
        tissues[box][mask & (tissues[box] != Tissue.AIR)] = Tissue.AIRWAY


def _draw_vessels(tissues: np.ndarray, frame: Frame) -> None:
    """The aorta from the heart over its arch down to the groins, in place."""
    arch = [(540, -25, 0), (585, -28, -8), (606, -12, 2), (600, 18, 14), (560, 34, 18), (430, 30, 8), (290, 20, 2)]
    paths = [(np.array(arch), 12.5)]
    paths += [(np.array([(290, 20, 2), (220, 10, side * 35), (110, -30, side * 65)]), 6.0) for side in (-1, 1)]
    for path, radius in paths:
        box, mask = tube_mask(frame, path, radius)
        tissues[box][mask & np.isin(tissues[box], (Tissue.SOFT, Tissue.FAT, Tissue.BOWEL))] = Tissue.AORTA
