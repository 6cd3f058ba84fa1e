from dataclasses import replace

import numpy as np

from nnunetv2_muduo.datasets.ct_image import CtAcquisition, draw_ct_acquisition, fat_plane_mask, simulate_ct
from nnunetv2_muduo.datasets.tissues import Tissue

SPACING = (4.0, 4.0, 4.0)
QUIET = CtAcquisition(phase="none", enhancement=1.0, fat_plane_in_mm=4.0, blur_fwhm_in_mm=0.5, noise_in_hu=0.0)


def two_organs() -> np.ndarray:
    tissues = np.full((16, 16, 16), Tissue.LIVER, np.uint8)
    tissues[:, :, 8:] = Tissue.STOMACH
    return tissues


def ct_of(tissues: np.ndarray, acquisition: CtAcquisition = QUIET, seed: int = 0) -> np.ndarray:
    return simulate_ct(tissues, spacing_in_mm=SPACING, acquisition=acquisition, rng=np.random.default_rng(seed))


def test_fat_lies_between_touching_organs():
    with_plane = ct_of(two_organs())
    without = ct_of(two_organs(), replace(QUIET, fat_plane_in_mm=0.0))
    assert with_plane[..., 7:9].mean() < without[..., 7:9].mean() - 20
    np.testing.assert_allclose(with_plane[..., :6], without[..., :6], atol=1e-3)


def test_fat_planes_are_between_wrapped_organs_only():
    tissues = two_organs()
    assert np.flatnonzero(fat_plane_mask(tissues).any(axis=(0, 1))).tolist() == [7, 8]
    tissues[:, :, 8:] = Tissue.LUNG
    assert not fat_plane_mask(tissues).any()


def test_contrast_agent_brightens_organs_but_not_fat():
    tissues = np.full((12, 12, 12), Tissue.SPLEEN, np.uint8)
    tissues[6:] = Tissue.FAT
    plain, venous = ct_of(tissues), ct_of(tissues, replace(QUIET, phase="venous"))
    assert venous[:5].mean() > plain[:5].mean() + 35
    assert abs(venous[7:].mean() - plain[7:].mean()) < 1


def test_air_is_air_and_ct_stays_in_range():
    tissues = np.zeros((10, 10, 10), np.uint8)
    tissues[5:] = Tissue.BONE
    ct = ct_of(tissues, replace(QUIET, noise_in_hu=60.0))
    assert ct.dtype == np.float32
    assert abs(ct[:3].mean() + 1000) < 30
    assert ct.min() >= -1024
    assert ct.max() <= 3071


def test_neighbouring_organs_overlap_in_hu_without_contrast_agent():
    seeds = range(30)
    gaps = []
    for seed in seeds:
        ct = ct_of(two_organs(), replace(QUIET, noise_in_hu=12.0), seed)
        gaps.append(abs(ct[..., :5].mean() - ct[..., 11:].mean()) / ct[..., :5].std())
    assert np.median(gaps) < 4


def test_all_contrast_phases_are_drawn():
    assert {draw_ct_acquisition(np.random.default_rng(seed)).phase for seed in range(40)} == {
        "none",
        "arterial",
        "venous",
    }
