import pytest
import torch

from nnunetv2_muduo.distillation.organ_mean import mean_over_organs

LOSSES = torch.tensor([[0.2, 0.9, 0.5], [0.4, torch.nan, 0.7]])
USED = torch.tensor([[True, False, True], [True, False, False]])


def test_an_organ_without_a_used_patch_does_not_dilute_the_others():
    assert mean_over_organs(LOSSES, USED).item() == pytest.approx((0.3 + 0.5) / 2)


def test_an_organ_weight_of_zero_does_not_strengthen_the_others():
    assert mean_over_organs(LOSSES, USED, torch.tensor([0.0, 1.0, 3.0])).item() == pytest.approx((0.0 + 3 * 0.5) / 2)


def test_only_used_patches_receive_gradients_each_its_share():
    losses = LOSSES.clone().requires_grad_()
    mean_over_organs(losses, USED).backward()
    assert losses.grad.tolist() == [[0.25, 0.0, 0.5], [0.25, 0.0, 0.0]]


def test_nothing_used_is_a_zero_that_can_be_differentiated():
    losses = LOSSES.clone().requires_grad_()
    loss = mean_over_organs(losses, torch.zeros_like(USED))
    loss.backward()
    assert loss.item() == 0
    assert losses.grad.tolist() == [[0.0] * 3] * 2
