from dataclasses import replace

import numpy as np
import pytest

from nnunetv2_muduo.datasets.difficulty import HARD, USUAL, Difficulty
from nnunetv2_muduo.datasets.pet_image import HotSpot
from nnunetv2_muduo.datasets.phantom import draw_phantom
from nnunetv2_muduo.datasets.simulation import Visit, simulate_visit
from nnunetv2_muduo.datasets.tissues import Tissue

SPACING = (12.0, 12.0, 12.0)
SEEDS = range(4)


@pytest.fixture(scope="module")
def tissues() -> np.ndarray:
    return draw_phantom(np.random.default_rng(0), spacing_in_mm=SPACING).tissues


def visit(tissues: np.ndarray, difficulty: Difficulty, seed: int = 0) -> Visit:
    return simulate_visit(tissues, spacing_in_mm=SPACING, rng=np.random.default_rng(seed), difficulty=difficulty)


def difference(tissues: np.ndarray, difficulty: Difficulty, image: str, seed: int = 0) -> np.ndarray:
    return getattr(visit(tissues, difficulty, seed), image) - getattr(visit(tissues, USUAL, seed), image)


def test_the_usual_difficulty_changes_nothing(tissues):
    plain = simulate_visit(tissues, spacing_in_mm=SPACING, rng=np.random.default_rng(1))
    for ours, theirs in zip(visit(tissues, USUAL, 1), plain, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_difficulty_draws_the_same_person_breath_and_lesions(tissues):
    """All that differs is the factors, so lesions lie in the same places and another factor leaves the CT alone."""
    harder = replace(HARD, fewest_lesions=0)
    for seed in SEEDS:
        np.testing.assert_array_equal(visit(tissues, harder, seed).lesions, visit(tissues, USUAL, seed).lesions)
        assert not difference(tissues, Difficulty(pet_noise=3, breathing=2, pet_contrast=0.5), "ct", seed).any()
        assert not difference(tissues, Difficulty(ct_noise=3, ct_contrast=0.5), "pet", seed).any()


def test_less_ct_contrast_moves_organs_to_muscle_and_leaves_lungs_fat_and_bone(tissues):
    bladder, lung = tissues == Tissue.BLADDER, tissues == Tissue.LUNG
    for seed in SEEDS:
        plain, poor = visit(tissues, USUAL, seed).ct, visit(tissues, Difficulty(ct_contrast=0.0), seed).ct
        muscle = plain[tissues == Tissue.SOFT].mean()
        assert abs(poor[bladder].mean() - muscle) < abs(plain[bladder].mean() - muscle)
        assert poor[lung].mean() == pytest.approx(plain[lung].mean(), abs=1)


def test_ct_noise_is_scaled(tissues):
    """Same draws, so the difference between triple and single noise is twice the noise itself."""
    twice = difference(tissues, Difficulty(ct_noise=3.0), "ct")[tissues == Tissue.SOFT]
    once = difference(tissues, Difficulty(ct_noise=2.0), "ct")[tissues == Tissue.SOFT]
    assert once.std() > 3
    np.testing.assert_allclose(twice, 2 * once, atol=1e-2)


def test_less_pet_contrast_brings_hot_organs_down_to_muscle(tissues):
    liver, muscle = tissues == Tissue.LIVER, tissues == Tissue.SOFT
    for seed in SEEDS:
        plain, poor = visit(tissues, USUAL, seed).pet, visit(tissues, Difficulty(pet_contrast=0.5), seed).pet
        assert 1 < poor[liver].mean() / poor[muscle].mean() < 0.8 * plain[liver].mean() / plain[muscle].mean()


def test_pet_noise_is_scaled(tissues):
    quiet = difference(tissues, Difficulty(pet_noise=0.0), "pet")
    loud = difference(tissues, Difficulty(pet_noise=2.0), "pet")
    inside = tissues == Tissue.LIVER
    np.testing.assert_allclose(loud[inside], -quiet[inside], atol=1e-3)
    assert quiet[inside].std() > 0.02


def test_deeper_breath_moves_the_belly_and_not_the_pelvis(tissues):
    moved = np.abs(difference(tissues, Difficulty(breathing=3.0, pet_noise=0.0), "pet", seed=2))
    still = np.abs(difference(tissues, Difficulty(pet_noise=0.0), "pet", seed=2))
    liver = tissues == Tissue.LIVER
    assert moved[liver].mean() > 1.5 * still[liver].mean()
    np.testing.assert_array_equal(moved[:3], still[:3])


def test_ct_is_cut_off_outside_its_circle_and_pet_is_not(tissues):
    narrow = visit(tissues, Difficulty(ct_diameter_in_mm=200.0))
    assert (narrow.ct[:, :, 0] == -1024).all()
    assert (narrow.ct == -1024).mean() > (visit(tissues, USUAL).ct == -1024).mean()
    middle = tuple(n // 2 for n in tissues.shape)
    assert narrow.ct[middle] == visit(tissues, USUAL).ct[middle]
    np.testing.assert_array_equal(narrow.pet, visit(tissues, USUAL).pet)


def test_a_hard_scan_has_lesions(tissues):
    for seed in SEEDS:
        assert visit(tissues, HARD, seed).lesions.any()


def test_larger_lesions_hold_the_smaller_ones_and_leave_injections_alone(tissues):
    for seed in SEEDS:
        usual, larger = (visit(tissues, Difficulty(fewest_lesions=2, lesion_size=size), seed) for size in (1.0, 2.5))
        assert larger.lesions[usual.lesions].all()
        assert larger.lesions.sum() > 3 * usual.lesions.sum()
    injection = HotSpot((0.0, 0.0, 0.0), radius=5.0, uptake=9.0, is_lesion=False)
    assert Difficulty(lesion_size=2.5).of_hot_spot(injection) == injection
