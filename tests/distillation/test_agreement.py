import torch

from nnunetv2_muduo.distillation import soft_iou


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
