"""From a tissue map to a registered pair of CT and FDG PET."""

from typing import NamedTuple

import numpy as np

from nnunetv2_muduo.datasets.ct_image import draw_ct_acquisition, simulate_ct
from nnunetv2_muduo.datasets.difficulty import USUAL, Difficulty
from nnunetv2_muduo.datasets.field_of_view import outside_circle
from nnunetv2_muduo.datasets.fields import Grid
from nnunetv2_muduo.datasets.pet_image import draw_hot_spots, draw_pet_acquisition, simulate_pet, sphere_mask
from nnunetv2_muduo.datasets.tissues import Tissue


class Visit(NamedTuple):
    """One visit to the scanner, all [Z,Y,X]: CT in HU and PET in SUV, float32; where lesions are in the CT, bool."""

    ct: np.ndarray
    pet: np.ndarray
    lesions: np.ndarray


def simulate_pet_ct(
    tissues: np.ndarray, *, spacing_in_mm: tuple[float, float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """CT and PET of one visit to the scanner.

    tissues: tissue map, uint8 [Z,Y,X] in LPS order (z up, y to the back, x to the left), values of `Tissue`;
    spacing_in_mm: (z, y, x); rng: the source of everything that differs between patients and scans.
    Returns CT in HU and PET in SUV (never negative), float32 [Z,Y,X] each, on the grid of `tissues`. PET follows the
    breath: around the diaphragm it lies up to 15 mm off the CT (and off `tissues`), in head and pelvis it does not.
    """
    visit = simulate_visit(tissues, spacing_in_mm=spacing_in_mm, rng=rng)
    return visit.ct, visit.pet


def simulate_visit(
    tissues: np.ndarray,
    *,
    spacing_in_mm: tuple[float, float, float],
    rng: np.random.Generator,
    difficulty: Difficulty = USUAL,
) -> Visit:
    """As `simulate_pet_ct`, with the mask of the lesions.

    `difficulty` changes nothing of what is drawn: the same generator gives the same person, breath and, unless it asks
    for more of them, lesions. All slices are there, whatever it says of the field of view. Lesions are where the CT and
    `tissues` have them; an injection site is none.
    """
    grid = Grid.of_shape(tissues.shape, spacing_in_mm)
    ct_acquisition = difficulty.of_ct(draw_ct_acquisition(rng))
    pet_acquisition = difficulty.of_pet(draw_pet_acquisition(rng))
    drawn = draw_hot_spots(tissues, spacing_in_mm=spacing_in_mm, rng=rng, fewest_lesions=difficulty.fewest_lesions)
    hot_spots = [difficulty.of_hot_spot(spot) for spot in drawn]
    visible, lesions = tissues.copy(), np.zeros(tissues.shape, dtype=bool)
    for spot in hot_spots:  # a lesion in the lung is seen in CT, elsewhere it hides in its surroundings
        inside = sphere_mask(grid, spot)
        visible[inside & (tissues == Tissue.LUNG)] = Tissue.SOFT
        if spot.is_lesion:
            lesions |= inside & (tissues != Tissue.AIR)
    ct = simulate_ct(visible, spacing_in_mm=spacing_in_mm, acquisition=ct_acquisition, rng=rng)
    if difficulty.ct_diameter_in_mm is not None:
        unseen = outside_circle(
            ct.shape,  # type: ignore[arg-type]
            spacing_in_mm=spacing_in_mm,
            diameter_in_mm=difficulty.ct_diameter_in_mm,
        )
        ct[:, unseen] = -1024
    pet = simulate_pet(tissues, spacing_in_mm=spacing_in_mm, acquisition=pet_acquisition, hot_spots=hot_spots, rng=rng)
    return Visit(ct, pet, lesions)
