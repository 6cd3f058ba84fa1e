"""Corrupted labels are spoiled as often as said, each time the same, and never lose an organ."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "label_noise.py"
SPEC = importlib.util.spec_from_file_location("label_noise", PATH)
assert SPEC is not None
assert SPEC.loader is not None
label_noise = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(label_noise)

TARGETS = {"liver": (3,), "kidneys": (4, 5), "tiny": (9,)}


def labels() -> np.ndarray:
    volume = np.ones((24, 22, 20), np.uint8)  # 1: of no target
    volume[4:14, 4:14, 3:11] = 3
    volume[15:20, 4:9, 3:8] = 4
    volume[15:20, 4:9, 12:17] = 5
    volume[4, 18, 18] = 9
    return volume


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def corrupted(share: float, seed: int) -> np.ndarray:
    return label_noise.corrupt_labels(labels(), TARGETS, share=share, rng=np.random.default_rng(seed))


def test_nothing_is_spoiled_at_a_share_of_0_and_one_seed_gives_one_result() -> None:
    assert np.array_equal(corrupted(0, 1), labels())
    assert np.array_equal(corrupted(1, 1), corrupted(1, 1))
    assert not np.array_equal(corrupted(1, 1), corrupted(1, 2))


def test_about_the_share_of_the_targets_is_spoiled() -> None:
    liver = labels() == 3
    changed = [not np.array_equal(corrupted(0.3, seed) == 3, liver) for seed in range(200)]
    assert 0.2 < np.mean(changed) < 0.4


@pytest.mark.parametrize("seed", range(25))
def test_no_target_is_lost_and_an_untouched_one_keeps_its_voxels(seed: int) -> None:
    after = corrupted(1, seed)
    assert all(np.isin(after, wanted).any() for wanted in TARGETS.values())
    only_liver = label_noise.corrupt_labels(labels(), {"liver": (3,), "none": (7,)}, share=1, rng=_rng(seed))
    assert ((only_liver == 3) | (labels() == 3) | (only_liver == labels())).all()
    both = label_noise.corrupt_labels(labels(), TARGETS, share=0, rng=_rng(seed))
    assert np.array_equal(both, labels())


@pytest.mark.parametrize("kind", label_noise.KINDS)
def test_each_kind_of_corruption_changes_the_mask(kind: str) -> None:
    mask = labels() == 3
    spoiled = label_noise._spoil(mask, kind, np.random.default_rng(3))
    assert spoiled.any()
    assert not np.array_equal(spoiled, mask)
    if kind in ("eroded", "missing part"):
        assert (mask | ~spoiled).all()
    if kind == "dilated":
        assert (spoiled | ~mask).all()
