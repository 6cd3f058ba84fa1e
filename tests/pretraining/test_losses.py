import pytest
import torch

from nnunetv2_muduo.pretraining import reconstruction_loss


@pytest.fixture
def tensors():
    generator = torch.Generator().manual_seed(0)
    reconstruction, image = (torch.randn(2, 2, 4, 5, 6, generator=generator) for _ in range(2))
    return reconstruction, image, torch.rand(image.shape, generator=generator) < 0.3


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_loss_is_the_mean_over_hidden_and_the_weighted_mean_over_visible_voxels(tensors, weight):
    reconstruction, image, mask = tensors
    error = (reconstruction - image) ** 2
    expected = error[mask].mean() + weight * error[~mask].mean()
    assert float(reconstruction_loss(*tensors, visible_weight=weight)) == pytest.approx(float(expected), abs=1e-6)


def test_the_published_weight_is_the_default(tensors):
    assert torch.equal(reconstruction_loss(*tensors), reconstruction_loss(*tensors, visible_weight=0.2))


def test_without_hidden_or_without_visible_voxels_the_other_term_stands_alone(tensors):
    reconstruction, image, mask = tensors
    mean = float(((reconstruction - image) ** 2).mean())
    nothing, everything = torch.zeros_like(mask), torch.ones_like(mask)
    assert float(reconstruction_loss(reconstruction, image, nothing)) == pytest.approx(0.2 * mean, abs=1e-6)
    assert float(reconstruction_loss(reconstruction, image, everything)) == pytest.approx(mean, abs=1e-6)


def test_half_precision_is_summed_in_single(tensors):
    reconstruction, image, mask = tensors
    loss = reconstruction_loss(reconstruction.half(), image, mask)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(reconstruction_loss(*tensors)), rel=1e-3)


def test_a_perfect_reconstruction_costs_nothing_and_gradients_flow(tensors):
    reconstruction, image, mask = tensors
    assert float(reconstruction_loss(image, image, mask)) == 0
    reconstruction.requires_grad_()
    reconstruction_loss(reconstruction, image, mask).backward()
    assert (reconstruction.grad != 0).all()
