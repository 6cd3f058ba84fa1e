"""Simulated CT in HU from a tissue map."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from nnunetv2_muduo.datasets.fields import Grid, gaussian_blur, smooth_field
from nnunetv2_muduo.datasets.tissues import TISSUE_PROPERTIES, Tissue

# Organs that lie in their own thin layer of fat; where two of them touch, CT shows a faint dark line.
WRAPPED_IN_FAT = (
    Tissue.SOFT,
    Tissue.LIVER,
    Tissue.SPLEEN,
    Tissue.KIDNEY,
    Tissue.HEART,
    Tissue.STOMACH,
    Tissue.BLADDER,
    Tissue.PROSTATE,
    Tissue.GLANDS,
    Tissue.AORTA,
    Tissue.BOWEL,
)


@dataclass(frozen=True)
class CtAcquisition:
    """How a CT was taken: contrast phase and its strength (1 is typical), fat plane [mm], blur [mm], noise sd [HU].

    `contrast` is the factor on what sets soft organs apart from muscle.
    """

    phase: Literal["none", "arterial", "venous"]
    enhancement: float
    fat_plane_in_mm: float
    blur_fwhm_in_mm: float
    noise_in_hu: float
    contrast: float = 1.0


def draw_ct_acquisition(rng: np.random.Generator) -> CtAcquisition:
    """An acquisition at random: 40 % without contrast agent, 15 % arterial, 45 % venous."""
    phases: tuple[Literal["none", "arterial", "venous"], ...] = ("none", "arterial", "venous")
    return CtAcquisition(
        phase=phases[int(rng.choice(3, p=(0.4, 0.15, 0.45)))],
        enhancement=float(rng.uniform(0.6, 1.2)),
        fat_plane_in_mm=float(rng.uniform(1.0, 4.0)),
        blur_fwhm_in_mm=float(rng.uniform(3.0, 7.0)),
        noise_in_hu=float(rng.uniform(6.0, 16.0)),
    )


def simulate_ct(
    tissues: np.ndarray,
    *,
    spacing_in_mm: tuple[float, float, float],
    acquisition: CtAcquisition,
    rng: np.random.Generator,
) -> np.ndarray:
    """CT of a tissue map (uint8 [Z,Y,X]): HU, float32 [Z,Y,X], in [-1024, 3071]."""
    grid = Grid.of_shape(tissues.shape, spacing_in_mm)
    level, texture = _patient_attenuation(acquisition, rng)
    ct = level[tissues]
    ct += texture[tissues] * smooth_field(grid, rng, wavelength_in_mm=18)
    ct += np.where(tissues > Tissue.AIR, 4, 0) * smooth_field(grid, rng, wavelength_in_mm=150)  # scatter, hardening
    fat = _fat_fraction(tissues, grid, acquisition.fat_plane_in_mm, rng)
    ct += fat * (level[Tissue.FAT] - ct)
    ct = gaussian_blur(ct, acquisition.blur_fwhm_in_mm, spacing_in_mm)
    noise = rng.standard_normal(ct.shape, dtype=np.float32) * np.float32(acquisition.noise_in_hu)
    ct += noise * _noise_profile(tissues)
    return np.clip(ct, -1024, 3071, out=ct)


def fat_plane_mask(tissues: np.ndarray) -> np.ndarray:
    """Voxels of a wrapped organ beside another wrapped tissue (one of the six neighbours), bool [Z,Y,X]."""
    wrapped = np.zeros(256, bool)
    wrapped[list(WRAPPED_IN_FAT)] = True
    mask = np.zeros(tissues.shape, bool)
    for axis in range(3):
        first, second = np.moveaxis(tissues, axis, 0)[:-1], np.moveaxis(tissues, axis, 0)[1:]
        touch = (first != second) & wrapped[first] & wrapped[second]
        moved = np.moveaxis(mask, axis, 0)
        moved[:-1] |= touch
        moved[1:] |= touch
    return mask


def _fat_fraction(tissues: np.ndarray, grid: Grid, plane_in_mm: float, rng: np.random.Generator) -> np.ndarray:
    """The share of fat in each voxel at organ borders: half a plane a side, thicker here and missing there."""
    thickness = plane_in_mm * np.clip(1 + 0.6 * smooth_field(grid, rng, wavelength_in_mm=50), 0, 2.5)
    share = np.clip(thickness / (2 * float(np.mean(grid.spacing_in_mm))), 0, 0.8)
    return np.where(fat_plane_mask(tissues), share, 0).astype(np.float32)


def _patient_attenuation(acquisition: CtAcquisition, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mean and texture in HU of every tissue in this patient: two float32 [256] tables."""
    level, texture = np.full(256, -1000, np.float32), np.zeros(256, np.float32)
    for tissue, properties in TISSUE_PROPERTIES.items():
        gain = {"none": 0.0, "arterial": properties.hu_arterial, "venous": properties.hu_venous}[acquisition.phase]
        own = float(np.exp(rng.normal(0, 0.12)))
        level[tissue] = properties.hu + properties.hu_spread * rng.normal() + gain * acquisition.enhancement * own
        texture[tissue] = properties.hu_texture
    if rng.random() < 0.15:  # a fatty liver is darker than spleen and muscle
        level[Tissue.LIVER] -= rng.uniform(15, 40)
    if acquisition.contrast != 1:
        soft = [*WRAPPED_IN_FAT, Tissue.BRAIN]
        level[soft] = level[Tissue.SOFT] + acquisition.contrast * (level[soft] - level[Tissue.SOFT])
    return level, texture


def _noise_profile(tissues: np.ndarray) -> np.ndarray:
    """Relative noise of each axial slice, float32 [Z,1,1]: more where much bone and tissue lie in the beam."""
    dense = (tissues > Tissue.AIR).mean(axis=(1, 2)) + 3 * (tissues == Tissue.BONE).mean(axis=(1, 2))
    profile = 0.6 + 0.5 * dense / max(float(dense.mean()), 1e-6)
    return ndimage.gaussian_filter1d(profile, 2.0)[:, None, None].astype(np.float32)
