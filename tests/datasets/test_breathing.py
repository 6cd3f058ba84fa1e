import numpy as np
import pytest

from nnunetv2_muduo.datasets.breathing import Breathing, breathe, breathing_profile, draw_breathing
from nnunetv2_muduo.datasets.tissues import Tissue

SPACING = (5.0, 10.0, 10.0)


@pytest.fixture
def tissues() -> np.ndarray:
    """A column of soft tissue, 800 mm high, with lungs between 400 and 600 mm."""
    column = np.full((160, 6, 6), Tissue.SOFT, np.uint8)
    column[80:120, 1:4, 1:5] = Tissue.LUNG
    return column


def test_profile_is_full_at_the_diaphragm_and_nothing_in_pelvis_and_head(tissues):
    profile = breathing_profile(tissues, SPACING)
    assert profile.max() > 0.99
    assert abs(int(profile.max(axis=(1, 2)).argmax()) - 84) <= 1
    assert not profile[:35].any()
    assert not profile[120:].any()


def test_back_moves_less_than_front(tissues):
    profile = breathing_profile(tissues, SPACING)
    assert profile[84, -1, 0] < 0.6 * profile[84, 0, 0]


def test_map_without_lungs_does_not_breathe():
    tissues = np.full((20, 4, 4), Tissue.SOFT, np.uint8)
    profile = breathing_profile(tissues, SPACING)
    image = np.random.default_rng(0).random(tissues.shape, dtype=np.float32)
    assert not profile.any()
    np.testing.assert_array_equal(breathe(image, profile, breathing=Breathing(15, 5), spacing_in_mm=SPACING), image)


def test_organs_at_the_diaphragm_move_by_the_shift(tissues):
    image = np.zeros(tissues.shape, np.float32)
    image[78:86] = 1
    image[10:18] = 1
    moved = breathe(image, breathing_profile(tissues, SPACING), breathing=Breathing(10.0, 4.0), spacing_in_mm=SPACING)
    z = np.arange(160) * 5.0
    column = moved[40:130, 1, 1]
    centre = (z[40:130] * column).sum() / column.sum()
    assert 8.0 < centre - z[78:86].mean() < 11.0
    np.testing.assert_array_equal(moved[:30], image[:30])


def test_drawn_breaths_are_3_to_15_mm():
    shifts = [draw_breathing(np.random.default_rng(seed)).shift_in_mm for seed in range(100)]
    assert np.abs(shifts).min() >= 3
    assert np.abs(shifts).max() <= 15
    assert np.mean(np.array(shifts) > 0) > 0.5
