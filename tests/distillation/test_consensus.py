import pytest
import torch

from nnunetv2_muduo.distillation import consensus_filter


def column(*values):
    return torch.tensor(values)[:, None]


def test_the_top_half_of_the_batch_is_kept():
    kept = consensus_filter(column(0.1, 0.4, 0.3, 0.2), column(True, True, True, True))
    assert kept[:, 0].tolist() == [False, True, True, False]


def test_the_quota_counts_the_whole_batch_and_is_filled_with_valid_patches_only():
    kept = consensus_filter(column(0.1, 0.9, 0.3, 0.9), column(True, False, True, False))
    assert kept[:, 0].tolist() == [True, False, True, False]


def test_an_invalid_patch_is_not_kept_even_when_the_quota_stays_unfilled():
    kept = consensus_filter(column(0.1, 0.9, 0.9, 0.9), column(True, False, False, False), keep_fraction=1.0)
    assert kept[:, 0].tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("batch", "keep_fraction", "quota"), [(1, 0.5, 1), (3, 0.5, 1), (5, 0.5, 2), (100, 0.29, 29), (4, 1, 4)]
)
def test_the_quota_is_rounded_down_but_at_least_one(batch, keep_fraction, quota):
    iou, valid = torch.linspace(0.1, 0.9, batch)[:, None], torch.ones(batch, 1, dtype=torch.bool)
    assert consensus_filter(iou, valid, keep_fraction=keep_fraction).sum() == quota


def test_a_threshold_applies_on_top_of_the_quota():
    kept = consensus_filter(column(0.6, 0.4, 0.5, 0.2), column(True, True, True, True), keep_fraction=1.0, min_iou=0.5)
    assert kept[:, 0].tolist() == [True, False, True, False]


def test_of_equal_scores_the_earlier_patch_wins():
    kept = consensus_filter(torch.full((20, 1), 0.5), torch.ones(20, 1, dtype=torch.bool), keep_fraction=0.25)
    assert kept[:, 0].nonzero().flatten().tolist() == [0, 1, 2, 3, 4]


def test_not_a_number_is_never_kept():
    kept = consensus_filter(column(float("nan"), 0.1), column(True, True), keep_fraction=1.0)
    assert kept[:, 0].tolist() == [False, True]


def test_organs_are_filtered_apart():
    iou = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    assert consensus_filter(iou, iou > 0).tolist() == [[True, False], [False, True]]
