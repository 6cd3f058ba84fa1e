import numpy as np
import pytest

from nnunetv2_muduo.datasets.ct_image import draw_ct_acquisition
from nnunetv2_muduo.datasets.difficulty import Difficulty
from nnunetv2_muduo.datasets.pet_image import draw_hot_spots, draw_pet_acquisition
from nnunetv2_muduo.datasets.phantom import Phantom, draw_phantom
from nnunetv2_muduo.datasets.simulation import simulate_pet_ct, simulate_visit
from nnunetv2_muduo.datasets.tissues import Tissue

SPACING = (10.0, 10.0, 10.0)


@pytest.fixture(scope="module")
def person() -> Phantom:
    return draw_phantom(np.random.default_rng(0), spacing_in_mm=SPACING)


def scan(person: Phantom, seed: int) -> tuple[np.ndarray, np.ndarray]:
    return simulate_pet_ct(person.tissues, spacing_in_mm=SPACING, rng=np.random.default_rng(seed))


def test_both_images_are_float32_on_the_map_grid_and_suv_is_not_negative(person):
    for seed in range(3):
        for image in scan(person, seed):
            assert image.dtype == np.float32
            assert image.shape == person.tissues.shape
            assert np.isfinite(image).all()
        assert scan(person, seed)[1].min() >= 0


def test_seed_decides_everything(person):
    for first, again, other in zip(scan(person, 1), scan(person, 1), scan(person, 2), strict=True):
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).mean() > 0


def test_tissue_map_is_left_alone(person):
    before = person.tissues.copy()
    scan(person, 3)
    np.testing.assert_array_equal(person.tissues, before)


def test_organs_look_like_themselves(person):
    scans = [scan(person, seed) for seed in range(8)]
    ct = {t: np.median([c[person.tissues == t].mean() for c, _ in scans]) for t in Tissue if t in person.tissues}
    pet = {t: np.median([p[person.tissues == t].mean() for _, p in scans]) for t in Tissue if t in person.tissues}
    assert ct[Tissue.LUNG] < -500 < ct[Tissue.FAT] < 0 < ct[Tissue.LIVER] < ct[Tissue.BONE]
    assert pet[Tissue.FAT] < pet[Tissue.SOFT] < pet[Tissue.LIVER] < pet[Tissue.BRAIN]
    assert pet[Tissue.BLADDER] > pet[Tissue.KIDNEY] > pet[Tissue.SPLEEN] * 0.9


def test_pet_is_off_the_ct_at_the_diaphragm_and_not_in_the_pelvis(person):
    """The liver's top edge in PET (half its uptake) against its top in the map; the bladder's the same way."""

    def edge_shift(pet: np.ndarray, tissue: Tissue) -> float:
        voxels = np.argwhere(person.tissues == tissue)
        y, x = np.round(voxels.mean(axis=0)[1:]).astype(int)
        column, inside = pet[:, y - 1 : y + 2, x - 1 : x + 2].mean(axis=(1, 2)), person.tissues[:, y, x] == tissue
        top = int(np.flatnonzero(inside)[-1])
        level = (column[top - 3 : top].mean() + column[top + 3 : top + 6].mean()) / 2
        above = top - 2 + int(np.argmax(column[top - 2 : top + 6] < level))
        share = (column[above - 1] - level) / (column[above - 1] - column[above])
        return float((above - 1 + share - top - 0.5) * SPACING[0])

    liver = [edge_shift(scan(person, seed)[1], Tissue.LIVER) for seed in range(12)]
    bladder = [edge_shift(scan(person, seed)[1], Tissue.BLADDER) for seed in range(12)]
    assert np.std(liver) > 2.5 * np.std(bladder)
    assert np.ptp(liver) > 8


def test_lesions_are_marked_where_they_take_up_tracer(person):
    lesions = Difficulty(fewest_lesions=3)
    for seed in range(6):
        visit = simulate_visit(
            person.tissues, spacing_in_mm=SPACING, rng=np.random.default_rng(seed), difficulty=lesions
        )
        assert visit.lesions.any()
        assert not visit.lesions[person.tissues == Tissue.AIR].any()
        pelvis = np.zeros_like(visit.lesions)
        pelvis[: len(pelvis) // 4] = True  # breath does not move it
        soft = pelvis & (person.tissues == Tissue.SOFT)
        if (visit.lesions & soft).any():
            assert visit.pet[visit.lesions & soft].mean() > 1.5 * visit.pet[soft & ~visit.lesions].mean()


def test_the_site_of_an_injection_is_no_lesion(person):
    for seed in range(400):
        rng = np.random.default_rng(seed)
        draw_ct_acquisition(rng)
        draw_pet_acquisition(rng)
        spots = draw_hot_spots(person.tissues, spacing_in_mm=SPACING, rng=rng)
        if len(spots) == 1 and not spots[0].is_lesion:
            break
    else:
        pytest.fail("no seed injects and draws no lesion")
    visit = simulate_visit(person.tissues, spacing_in_mm=SPACING, rng=np.random.default_rng(seed))
    assert not visit.lesions.any()
