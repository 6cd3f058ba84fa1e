import pytest
import torch

from nnunetv2_muduo.distillation import prompt_agreement, soft_iou


def test_equal_crisp_maps_agree_fully_and_disjoint_ones_not_at_all():
    left = torch.zeros(1, 2, 4, 4, 4)
    left[:, :, :2] = 1
    other = left.clone()
    other[:, 1] = 1 - other[:, 1]
    assert soft_iou(left, other).tolist() == [[1.0, 0.0]]


def test_half_overlapping_boxes_score_a_third():
    first, second = torch.zeros(2, 1, 1, 4, 4, 4)
    first[..., :2], second[..., 1:3] = 1, 1
    assert torch.allclose(soft_iou(first, second), torch.tensor([[1 / 3]]))


def test_two_empty_maps_score_zero_rather_than_nan():
    empty = torch.zeros(1, 1, 4, 4, 4)
    assert soft_iou(empty, empty).item() == 0


def test_agreement_with_the_prompt_tells_an_organ_from_a_stray_voxel():
    organ, stray = torch.zeros(2, 1, 2, 12, 16, 20, dtype=torch.bool)
    organ[:, :, 4:8, 6:12, 8:14] = True
    stray[:, 0] = organ[:, 0]
    stray[:, 1, 4, 6, 8] = True
    said = organ.float()
    given = prompt_agreement(said, None, stray)
    assert given[0, 0] == pytest.approx(1.0)
    assert given[0, 1] == pytest.approx(1 / (4 * 6 * 6))
    unsure = prompt_agreement(said, torch.zeros_like(said), stray)
    assert unsure[0, 0] == pytest.approx(0.5)
    by_one = prompt_agreement(said, torch.zeros_like(said), stray, torch.tensor([[1.0, 1.0]]))
    assert torch.equal(by_one, given)
