"""Spoiled masks stay masks of their target, and are really spoiled."""

import torch

from nnunetv2_muduo.teachers.corruption import LARGEST_LOGIT, CorruptionSettings, corrupt_masks


def box_and_neighbour(count: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    targets = torch.zeros(count, 16, 16, 16, dtype=torch.bool)
    others = torch.zeros_like(targets)
    targets[:, 4:10, 4:12, 4:12] = True
    others[:, 10:14, 4:12, 4:12] = True
    return targets, others


def dice(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    shared = (first & second).flatten(1).sum(1)
    return 2 * shared / (first.flatten(1).sum(1) + second.flatten(1).sum(1))


def test_spoiled_masks_are_bounded_logits_of_the_asked_size() -> None:
    targets, others = box_and_neighbour()
    logits = corrupt_masks(targets, others, size=8, generator=torch.Generator().manual_seed(0))
    assert logits.shape == (24, 8, 8, 8)
    assert logits.abs().max() <= LARGEST_LOGIT


def test_spoiled_masks_differ_from_the_truth_yet_resemble_it() -> None:
    targets, others = box_and_neighbour()
    logits = corrupt_masks(targets, others, size=16, generator=torch.Generator().manual_seed(0))
    scores = dice(logits > 0, targets)
    assert 0.25 < scores.mean() < 0.9
    for mask, target in zip(logits, targets, strict=True):
        assert mask[target].mean() > mask[~target].mean()


def test_nothing_is_spoiled_where_all_is_switched_off() -> None:
    targets, others = box_and_neighbour(count=2)
    gentle = CorruptionSettings(
        shift=0, missing=0, merged=0, stray=0, waviness=0, confidence=(4.0, 4.0), bias=(0.0, 0.0), blurs=0
    )
    logits = corrupt_masks(targets, others, size=16, settings=gentle, generator=torch.Generator().manual_seed(0))
    assert (dice(logits > 0, targets) > 0.95).all()  # interpolation rounds the box's corners


def test_a_neighbour_is_merged_and_a_part_goes_missing() -> None:
    targets, others = box_and_neighbour()
    none = {"shift": 0, "stray": 0.0, "waviness": 0.0, "bias": (0.0, 0.0), "blurs": 0}
    merged = corrupt_masks(targets, others, size=16, settings=CorruptionSettings(missing=0, merged=1, **none))
    assert ((merged > 0) & others).flatten(1).any(1).float().mean() > 0.5
    missing = corrupt_masks(targets, others, size=16, settings=CorruptionSettings(missing=1, merged=0, **none))
    assert ((missing > 0) & targets).flatten(1).sum(1).float().mean() < 0.75 * targets[0].sum()


def test_the_same_generator_spoils_the_same_way() -> None:
    targets, others = box_and_neighbour(count=3)
    first, second = (
        corrupt_masks(targets, others, size=16, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert torch.equal(first, second)
