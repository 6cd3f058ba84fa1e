"""Simulated FDG PET in SUV from a tissue map."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nnunetv2_muduo.datasets.breathing import Breathing, breathe, breathing_profile, draw_breathing
from nnunetv2_muduo.datasets.fields import Grid, gaussian_blur, smooth_field
from nnunetv2_muduo.datasets.tissues import TISSUE_PROPERTIES, Tissue


@dataclass(frozen=True)
class PetAcquisition:
    """How a PET was taken: resolution FWHM [mm], noise (sd at SUV 1), calibration factor, breathing against the CT.

    `contrast` is the power of each tissue's uptake relative to muscle.
    """

    resolution_fwhm_in_mm: float
    noise: float
    calibration: float
    breathing: Breathing
    contrast: float = 1.0


@dataclass(frozen=True)
class HotSpot:
    """A round focus of uptake: centre and radius in mm (z, y, x from the volume's first corner), uptake in SUV.

    It is a lesion, or the site of an injection.
    """

    centre: tuple[float, float, float]
    radius: float
    uptake: float
    is_lesion: bool = True


def draw_pet_acquisition(rng: np.random.Generator) -> PetAcquisition:
    """An acquisition at random: 5.5 to 8 mm resolution, 7 to 18 % noise at SUV 1, calibration within some 10 %."""
    return PetAcquisition(
        resolution_fwhm_in_mm=float(rng.uniform(5.5, 8.0)),
        noise=float(rng.uniform(0.07, 0.18)),
        calibration=float(np.exp(rng.normal(0, 0.1))),
        breathing=draw_breathing(rng),
    )


def draw_hot_spots(
    tissues: np.ndarray,
    *,
    spacing_in_mm: tuple[float, float, float],
    rng: np.random.Generator,
    fewest_lesions: int = 0,
) -> list[HotSpot]:
    """None to six lesions of SUV 3 to 14 and 4 to 14 mm radius below the head, now and then an injection site.

    There are at least `fewest_lesions` lesions wherever there is a body.
    """
    body = np.flatnonzero(((tissues != Tissue.AIR) & (tissues != Tissue.BRAIN)).ravel())
    if body.size == 0:
        return []
    spots = []
    count = int(rng.choice(7, p=(0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05)))
    for _ in range(max(count, fewest_lesions)):
        place = int(body[rng.integers(body.size)])
        uptake = float(np.exp(rng.uniform(np.log(3), np.log(14))))
        spots.append(HotSpot(_centre_in_mm(place, tissues.shape, spacing_in_mm), float(rng.uniform(4, 14)), uptake))
    if rng.random() < 0.15:  # some of the dose beside the vein: the outermost, so mostly in an arm, of 60 places
        places = body[rng.integers(body.size, size=60)]
        columns = np.unravel_index(places, tissues.shape)[2]
        place = int(places[np.argmax(np.abs(columns - tissues.shape[2] / 2))])
        uptake, radius = float(rng.uniform(6, 30)), float(rng.uniform(4, 9))
        spots.append(HotSpot(_centre_in_mm(place, tissues.shape, spacing_in_mm), radius, uptake, is_lesion=False))
    return spots


def _centre_in_mm(
    place: int, shape: tuple[int, ...], spacing_in_mm: tuple[float, float, float]
) -> tuple[float, float, float]:
    z, y, x = (float((i + 0.5) * s) for i, s in zip(np.unravel_index(place, shape), spacing_in_mm, strict=True))
    return z, y, x


def simulate_pet(
    tissues: np.ndarray,
    *,
    spacing_in_mm: tuple[float, float, float],
    acquisition: PetAcquisition,
    hot_spots: list[HotSpot],
    rng: np.random.Generator,
) -> np.ndarray:
    """FDG PET of a tissue map (uint8 [Z,Y,X]): SUV, float32 [Z,Y,X], never below 0."""
    grid = Grid.of_shape(tissues.shape, spacing_in_mm)
    uptake = _patient_uptake(tissues, grid, rng, contrast=acquisition.contrast)
    _paint_myocardium(uptake, tissues, spacing_in_mm, rng)
    _paint_renal_pelves(uptake, tissues, spacing_in_mm, rng)
    for spot in hot_spots:
        inside = sphere_mask(grid, spot) & (tissues != Tissue.AIR)
        uptake[inside] = np.maximum(uptake[inside], spot.uptake)
    profile = breathing_profile(tissues, spacing_in_mm)
    uptake = breathe(uptake, profile, breathing=acquisition.breathing, spacing_in_mm=spacing_in_mm)
    pet = gaussian_blur(uptake, acquisition.resolution_fwhm_in_mm, spacing_in_mm) * np.float32(acquisition.calibration)
    pet += _noise(pet, acquisition.noise, spacing_in_mm, rng)
    return np.clip(pet, 0, None, out=pet)


def sphere_mask(grid: Grid, spot: HotSpot) -> np.ndarray:
    """The voxels [Z,Y,X] within a hot spot; at least the one that holds its centre."""
    z, y, x = (axis - np.float32(c) for axis, c in zip(grid.axes_in_mm(), spot.centre, strict=True))
    reach = max(spot.radius, 0.51 * float(np.linalg.norm(grid.spacing_in_mm)))
    return z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2 <= reach**2


def _patient_uptake(tissues: np.ndarray, grid: Grid, rng: np.random.Generator, *, contrast: float) -> np.ndarray:
    """Uptake before blur: the patient's level of each tissue times a smooth texture, float32 [Z,Y,X]."""
    level, texture = np.zeros(256, np.float32), np.zeros(256, np.float32)
    for tissue, properties in TISSUE_PROPERTIES.items():
        level[tissue] = properties.suv * np.exp(np.clip(rng.normal(0, properties.suv_spread), -1.2, 1.2))
        texture[tissue] = properties.suv_texture
    if rng.random() < 0.1:  # metformin, or just an active bowel
        level[Tissue.BOWEL] *= rng.uniform(1.5, 3.5)
    if contrast != 1:
        level = level[Tissue.SOFT] * (level / level[Tissue.SOFT]) ** np.float32(contrast)
    fine = smooth_field(grid, rng, wavelength_in_mm=25)
    return level[tissues] * np.exp(np.clip(texture[tissues] * fine, -1.5, 1.5))


def _paint_myocardium(
    uptake: np.ndarray, tissues: np.ndarray, spacing_in_mm: tuple[float, float, float], rng: np.random.Generator
) -> None:
    """The left ventricle's wall in the heart's left half takes up nothing special, or a lot (fasting decides)."""
    wall_uptake = float(np.exp(rng.uniform(np.log(1.3), np.log(9))))
    offset, size = rng.normal(0, 4, 3), rng.uniform(0.9, 1.1)
    voxels = np.argwhere(tissues == Tissue.HEART)
    if len(voxels) == 0:
        return
    position = voxels * np.array(spacing_in_mm)
    extent = position.max(axis=0) - position.min(axis=0)
    ventricle = position.mean(axis=0) + offset + extent * (-0.08, -0.05, 0.14)
    level = np.linalg.norm((position - ventricle) / np.maximum(0.33 * size * extent, 1), axis=1)
    wall = voxels[(level > 0.55) & (level <= 1)]
    uptake[tuple(wall.T)] *= wall_uptake / TISSUE_PROPERTIES[Tissue.HEART].suv


def _paint_renal_pelves(
    uptake: np.ndarray, tissues: np.ndarray, spacing_in_mm: tuple[float, float, float], rng: np.random.Generator
) -> None:
    """Urine on its way: a focus of its own strength in the middle of each kidney."""
    strengths, radii = np.exp(rng.uniform(np.log(2), np.log(14), 2)), rng.uniform(7, 13, 2)
    parts, count = ndimage.label(tissues == Tissue.KIDNEY)
    if count == 0:
        return
    sizes = np.bincount(parts.ravel())[1:]
    for part, strength, radius in zip(np.argsort(-sizes)[:2] + 1, strengths, radii, strict=False):
        voxels = np.argwhere(parts == part)
        position = voxels * np.array(spacing_in_mm)
        near = np.linalg.norm(position - position.mean(axis=0), axis=1) <= radius
        inner = voxels[near]
        uptake[tuple(inner.T)] = np.maximum(uptake[tuple(inner.T)], strength)


def _noise(
    pet: np.ndarray, noise: float, spacing_in_mm: tuple[float, float, float], rng: np.random.Generator
) -> np.ndarray:
    """Noise whose variance grows with uptake, correlated over a few mm as reconstruction leaves it."""
    white = rng.standard_normal(pet.shape, dtype=np.float32)
    correlated = gaussian_blur(white, 6.0, spacing_in_mm)
    correlated /= max(float(correlated.std()), 1e-6)
    return correlated * np.float32(noise) * np.sqrt(np.clip(pet, 0.02, None))
