"""What a validation says, and which of several is the best."""

import numpy as np
import pytest
import torch
from tiny_teachers import small_unet

from nnunetv2_muduo.teachers.crops import CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.validation import best_step, mean_by_step, mean_over_targets, validate

TARGETS = {"bright": (1,), "brighter": (2,)}
CROPS = CropSettings(size=16, spacing_range_in_mm=(7.0, 9.0), min_voxels=8)


def row(step: int, target: str, prompt: str, dice: float) -> dict:
    return {"step": step, "target": target, "prompt": prompt, "dice": dice}


ROWS = [
    row(0, "liver", "1 click", 0.2),
    row(0, "liver", "mask", 0.4),
    row(5, "liver", "1 click", 0.5),
    row(5, "spleen", "1 click", 0.7),
    row(5, "liver", "mask", 0.8),
    row(9, "liver", "1 click", 0.6),
    row(9, "liver", "mask", 0.8),
    row(9, "liver", "given mask", 0.1),
]


def test_validation_scores_every_target_and_way_of_prompting() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    teacher = small_unet()
    labels = np.zeros((18, 18, 18), np.uint8)
    labels[3:8, 3:9, 3:10], labels[10:15, 8:14, 6:12] = 1, 2
    image = np.random.default_rng(5).normal(10, 3, labels.shape).astype(np.float32) + 40 * labels
    sampler = CropSampler([TrainingCase(image, labels, (8.0, 8.0, 8.0))], targets=TARGETS, settings=CROPS)
    crops = [sampler.draw(2, 2, generator=torch.Generator().manual_seed(1))]
    rows = validate(teacher, crops)
    assert {row["prompt"] for row in rows} == {"1 click", "3 clicks", "5 clicks", "3 points", "mask", "given mask"}
    assert {row["target"] for row in rows} <= set(TARGETS)
    assert all(0 <= row["dice"] <= 1 for row in rows)
    assert rows == validate(teacher, crops)


def test_targets_count_once_ways_of_prompting_likewise_and_the_given_mask_not_at_all() -> None:
    assert mean_over_targets(ROWS[2:5]) == pytest.approx({"1 click": 0.6, "mask": 0.8})
    assert mean_by_step(ROWS) == pytest.approx({0: 0.3, 5: 0.7, 9: 0.7})


def test_of_equals_the_last_is_the_best_and_of_nothing_there_is_none() -> None:
    assert best_step([row(5, "liver", "mask", 0.7), row(9, "liver", "mask", 0.7)]) == 9
    assert best_step([row(0, "liver", "mask", 0.9), *ROWS[5:]]) == 0
    assert best_step(ROWS[:5]) == 5
    assert best_step([]) is None
