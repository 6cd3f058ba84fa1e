"""A step of an optimiser."""

import math

import pytest
import torch
from torch import nn

from nnunetv2_muduo.teachers.descent import descend, step_clipped


def network() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def loss_of(model: nn.Linear) -> torch.Tensor:
    return 100 * model(torch.tensor([[1.0, -2.0, 0.5]])).square().sum()


@pytest.mark.parametrize("largest", [0.1, 1e9])
def test_step_is_the_plain_one_along_this_losss_clipped_gradients(largest: float):
    model, plain = network(), network()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss_of(model).backward()  # gradients of something before, which must not count
    value = descend(loss_of(model), model, optimiser, largest_gradient=largest)
    assert value == pytest.approx(float(loss_of(plain).detach()))
    gradients = torch.autograd.grad(loss_of(plain), list(plain.parameters()))
    norm = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert 0.1 < norm < 1e9
    for stepped, before, gradient in zip(model.parameters(), plain.parameters(), gradients, strict=True):
        torch.testing.assert_close(stepped, before - 1e-3 * gradient * min(1.0, largest / float(norm)))


def test_gradients_that_were_added_up_are_clipped_as_one():
    model = network()
    before = torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(3):
        loss_of(model).backward()
    step_clipped(model, optimiser, largest_gradient=0.5)
    after = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    assert float((after - before).norm()) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite_change_nothing(value: float):
    model = network()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1.0)
    assert math.isnan(descend(value * loss_of(model), model, optimiser, largest_gradient=1.0))
    for parameter, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(parameter, old, rtol=0, atol=0)
    assert math.isfinite(descend(loss_of(model), model, optimiser, largest_gradient=1.0))
