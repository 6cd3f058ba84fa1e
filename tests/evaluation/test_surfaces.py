import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nnunetv2_muduo.evaluation.surfaces import surface_distances

SPACING = (3.0, 2.0, 1.5)


def blob(seed: int) -> np.ndarray:
    """A random mask of a few pieces, some of them cut by the volume's border."""
    return gaussian_filter(np.random.default_rng(seed).normal(size=(9, 12, 14)), 1.5) > 0.08


def brute_force(prediction: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """HD95 and ASD from all pairs of surface voxels, found by looking at each of the six neighbours."""

    def surface(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        inside = padded.copy()
        for axis in range(3):
            for step in (-1, 1):
                inside &= np.roll(padded, step, axis)
        return np.argwhere(padded & ~inside) * SPACING

    first, second = surface(prediction), surface(reference)
    pairs = np.linalg.norm(first[:, None] - second[None], axis=-1)
    there, back = pairs.min(1), pairs.min(0)
    return max(np.percentile(there, 95), np.percentile(back, 95)), np.concatenate((there, back)).mean()


def test_shifted_single_voxel_is_as_far_as_the_spacing_says():
    prediction, reference = np.zeros((5, 5, 5), bool), np.zeros((5, 5, 5), bool)
    prediction[1, 1, 1] = reference[3, 1, 1] = True
    found = surface_distances(prediction, reference, spacing_in_mm=SPACING)
    assert (found.hd95, found.asd) == (6.0, 6.0)


def test_two_slabs_of_different_thickness_by_hand():
    prediction, reference = np.zeros((8, 1, 1), bool), np.zeros((8, 1, 1), bool)
    prediction[2:4], reference[2:6] = True, True  # one voxel wide: all of them are surface
    found = surface_distances(prediction, reference, spacing_in_mm=(3.0, 1.0, 1.0))
    assert found.asd == pytest.approx((0 + 0 + 0 + 0 + 3 + 6) / 6)  # 2 voxels there, 4 back
    assert found.hd95 == pytest.approx(np.percentile([0, 0, 3, 6], 95))


@pytest.mark.parametrize("seed", range(5))
def test_distances_agree_with_brute_force_on_random_masks(seed: int):
    found = surface_distances(blob(seed), blob(seed + 100), spacing_in_mm=SPACING)
    assert (found.hd95, found.asd) == pytest.approx(brute_force(blob(seed), blob(seed + 100)))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of MONAI's, about itself
@pytest.mark.parametrize("seed", range(5))
def test_distances_agree_with_monai_on_random_masks(seed: int):
    metrics = pytest.importorskip("monai.metrics")
    torch = pytest.importorskip("torch")
    prediction, reference = blob(seed), blob(seed + 100)
    tensors = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference)]
    hd95 = metrics.compute_hausdorff_distance(*tensors, include_background=True, percentile=95, spacing=SPACING)
    asd = metrics.compute_average_surface_distance(*tensors, include_background=True, symmetric=True, spacing=SPACING)
    found = surface_distances(prediction, reference, spacing_in_mm=SPACING)
    assert found.hd95 == pytest.approx(float(hd95), rel=1e-5)
    assert found.asd == pytest.approx(float(asd), rel=1e-5)


def test_both_directions_count():
    reference = blob(0)
    stray = reference.copy()
    stray[0, 0, :] = True
    for masks in ((stray, reference), (reference, stray)):
        assert surface_distances(*masks, spacing_in_mm=SPACING).asd > 0


def test_nothing_near_an_organ_that_is_missed_or_hallucinated():
    empty = np.zeros_like(blob(0))
    for masks in ((empty, blob(0)), (blob(0), empty)):
        found = surface_distances(*masks, spacing_in_mm=SPACING)
        assert (found.hd95, found.asd) == (np.inf, np.inf)


def test_no_distance_between_two_empty_masks():
    empty = np.zeros((3, 3, 3), bool)
    found = surface_distances(empty, empty, spacing_in_mm=SPACING)
    assert np.isnan([found.hd95, found.asd]).all()
