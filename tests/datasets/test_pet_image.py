import numpy as np
import pytest

from nnunetv2_muduo.datasets.breathing import Breathing
from nnunetv2_muduo.datasets.fields import Grid
from nnunetv2_muduo.datasets.pet_image import (
    HotSpot,
    PetAcquisition,
    draw_hot_spots,
    draw_pet_acquisition,
    simulate_pet,
    sphere_mask,
)
from nnunetv2_muduo.datasets.tissues import Tissue

SPACING = (4.0, 4.0, 4.0)


def acquisition(noise: float = 0.0) -> PetAcquisition:
    return PetAcquisition(resolution_fwhm_in_mm=6.0, noise=noise, calibration=1.0, breathing=Breathing(0.0, 0.0))


def pet_of(tissues: np.ndarray, *, noise: float = 0.0, spots: tuple[HotSpot, ...] = (), seed: int = 0) -> np.ndarray:
    return simulate_pet(
        tissues,
        spacing_in_mm=SPACING,
        acquisition=acquisition(noise),
        hot_spots=list(spots),
        rng=np.random.default_rng(seed),
    )


@pytest.fixture
def halves() -> np.ndarray:
    tissues = np.full((16, 16, 32), Tissue.FAT, np.uint8)
    tissues[..., 16:] = Tissue.BRAIN
    return tissues


def test_uptake_follows_the_table(halves):
    means = np.array(
        [[pet[..., :12].mean(), pet[..., 20:].mean()] for pet in (pet_of(halves, seed=s) for s in range(20))]
    )
    assert 0.2 < np.median(means[:, 0]) < 0.4
    assert 5 < np.median(means[:, 1]) < 9


def test_noise_grows_with_uptake(halves):
    noise = pet_of(halves, noise=0.15) - pet_of(halves)
    assert noise[..., 20:].std() > 2 * noise[..., :12].std()


def test_edges_are_blurred(halves):
    edge = pet_of(halves)[8, 8, 14:18]
    assert (np.diff(edge) > 0.2).sum() >= 2


def test_suv_is_never_negative(halves):
    assert pet_of(halves, noise=2.0).min() >= 0


def test_hot_spot_is_hot_where_it_is_and_nowhere_else():
    tissues = np.full((20, 20, 20), Tissue.SOFT, np.uint8)
    spot = HotSpot((30.0, 40.0, 50.0), 8.0, 10.0)
    change = pet_of(tissues, spots=(spot,)) - pet_of(tissues)
    assert np.unravel_index(change.argmax(), change.shape) in {(7, 9, 12), (7, 10, 12), (7, 10, 11), (7, 9, 11)}
    assert change.max() > 4
    assert abs(change[15:]).max() < 1e-3


def test_smallest_hot_spot_still_has_a_voxel():
    assert sphere_mask(Grid.of_shape((5, 5, 5), (10, 10, 10)), HotSpot((23.0, 27.0, 22.0), 1.0, 5.0)).any()


def test_hot_spots_lie_in_the_body_and_not_in_the_brain(halves):
    halves[:, :, :4] = Tissue.AIR
    for seed in range(20):
        for spot in draw_hot_spots(halves, spacing_in_mm=SPACING, rng=np.random.default_rng(seed)):
            z, y, x = (int(c // s) for c, s in zip(spot.centre, SPACING, strict=True))
            assert halves[z, y, x] == Tissue.FAT


def test_air_alone_has_no_uptake_and_no_hot_spots():
    air = np.zeros((6, 6, 6), np.uint8)
    assert draw_hot_spots(air, spacing_in_mm=SPACING, rng=np.random.default_rng(0)) == []
    assert pet_of(air).max() == 0


def test_myocardium_of_some_patients_outshines_the_blood():
    tissues = np.full((30, 30, 30), Tissue.SOFT, np.uint8)
    z, y, x = np.ogrid[:30, :30, :30]
    tissues[(z - 15) ** 2 + (y - 15) ** 2 + (x - 15) ** 2 < 12**2] = Tissue.HEART
    ratios = [np.ptp(pet_of(tissues, seed=seed)[tissues == Tissue.HEART]) for seed in range(12)]
    assert max(ratios) > 3
    assert min(ratios) < 2


def test_acquisitions_vary_within_what_scanners_do():
    drawn = [draw_pet_acquisition(np.random.default_rng(seed)) for seed in range(50)]
    assert all(5.5 <= a.resolution_fwhm_in_mm <= 8 for a in drawn)
    assert len({a.noise for a in drawn}) == 50
