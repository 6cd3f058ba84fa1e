"""Does an image look like what a teacher was trained on?"""

from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_muduo.datasets.difficulty import HARD, USUAL
from nnunetv2_muduo.datasets.field_of_view import draw_field_of_view
from nnunetv2_muduo.datasets.phantom import draw_phantom
from nnunetv2_muduo.datasets.plausibility import (
    Intensities,
    intensity_warnings,
    looks_like_activity,
    warnings_about,
)
from nnunetv2_muduo.datasets.simulation import simulate_visit

RNG = np.random.default_rng(0)
CT = RNG.uniform(-1000, 400, (16, 16, 16))
PET = RNG.uniform(0, 12, (16, 16, 16))
COARSE = (16.0, 16.0, 16.0)
SEEN = Intensities(
    lowest=0.0, hardly_exceeded=0.9, highest=1.0, negative_share=0.0, are_whole_numbers=True, of_all_slices=True
)


@pytest.mark.parametrize(("image", "modality"), [(CT, "CT"), (PET, "PET")])
def test_proper_images_pass(image, modality):
    assert intensity_warnings(image, modality=modality) == []


@pytest.mark.parametrize(
    ("image", "modality", "words"),
    [(PET, "CT", "PET given"), (CT, "PET", "CT given"), (PET * 5000, "PET", "Bq/ml"), (CT / 500, "CT", "normalised")],
)
def test_swapped_or_unconverted_images_are_warned_of(image, modality, words):
    (warning,) = intensity_warnings(image, modality=modality)
    assert words in warning


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ((PET - PET.mean()) / PET.std(), "z-score"),
        (PET / 12, "some organ of every patient exceeds 1.5"),
        (np.rint(PET / PET.max() * 255), "scaled to bytes"),
        (np.where(PET > 6, 1, 0), "not a mask"),
    ],
    ids=["z-scored", "0 to 1", "bytes", "mask"],
)
def test_scaled_pet_is_warned_of(image, words):
    (warning,) = intensity_warnings(image, modality="PET")
    assert warning.startswith("This does not look like PET in SUV: ")
    assert words in warning


def test_one_small_organ_makes_a_scan_suv():
    image = np.full((16, 16, 16), 0.3)
    image[5, 5, 5] = 2.0
    assert intensity_warnings(image, modality="PET") == []


def test_noise_around_zero_is_no_z_score():
    assert intensity_warnings(PET * (PET > 11) + RNG.normal(0, 0.05, PET.shape), modality="PET") == []


def test_the_hottest_voxel_of_a_part_tells_nothing():
    assert warnings_about(SEEN, modality="PET")
    assert warnings_about(replace(SEEN, of_all_slices=False), modality="PET") == []
    assert warnings_about(replace(SEEN, of_all_slices=False, negative_share=0.2), modality="PET")


@pytest.mark.parametrize("difficulty", [USUAL, HARD], ids=["usual", "hard"])
@pytest.mark.parametrize("seed", range(3))
def test_simulated_scans_look_like_what_they_are(difficulty, seed):
    rng = np.random.default_rng(seed)
    tissues = draw_phantom(rng, spacing_in_mm=COARSE).tissues
    visit = simulate_visit(tissues, spacing_in_mm=COARSE, rng=rng, difficulty=difficulty)
    shown = draw_field_of_view(tissues, spacing_in_mm=COARSE, rng=rng)
    for part in (slice(None), shown):
        assert intensity_warnings(visit.ct[part], modality="CT") == []
        assert intensity_warnings(visit.pet[part], modality="PET") == []


def test_activity_and_suv_are_told_apart():
    assert looks_like_activity(PET * 5000)
    assert not looks_like_activity(PET)
