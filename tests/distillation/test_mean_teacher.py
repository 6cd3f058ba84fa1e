import math

import pytest
import torch

from nnunetv2_muduo.distillation import clipped_noise, entropy_threshold, mean_where, predictive_entropy, softmax_mse


def probabilities(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).softmax(1)


def test_noise_is_gaussian_within_its_limits_and_repeatable():
    noise = clipped_noise(torch.Size((4, 2, 20, 20, 20)), generator=torch.Generator().manual_seed(1))
    assert noise.abs().max() == pytest.approx(0.2)
    assert (noise.abs() == noise.abs().max()).float().mean() == pytest.approx(0.0455, abs=0.005)  # beyond two sigma
    inside = noise[noise.abs() < 0.1]
    assert len(inside) / noise.numel() == pytest.approx(0.683, abs=0.01)
    again = clipped_noise(noise.shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(noise, again)


def test_mse_of_hand_computed_probabilities():
    student = torch.tensor([[0.7, 0.2, 0.1]]).view(1, 3, 1, 1, 1)
    teacher = torch.tensor([[0.5, 0.5, 0.0]]).view(1, 3, 1, 1, 1)
    assert softmax_mse(student, teacher).item() == pytest.approx((0.04 + 0.09 + 0.01) / 3)


def test_mse_over_everything_is_the_published_mean():
    student, teacher = probabilities(2, 3, 4, 5, 6), probabilities(2, 3, 4, 5, 6, seed=1)
    assert softmax_mse(student, teacher).mean().item() == pytest.approx(((student - teacher) ** 2).mean().item())


def test_entropy_is_zero_where_certain_and_largest_where_all_is_equal():
    certain = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(1, 4, 1)
    even = torch.full((1, 4, 1), 0.25)
    assert predictive_entropy(certain).item() == pytest.approx(0.0, abs=2e-6)
    assert predictive_entropy(even).item() == pytest.approx(math.log(4), abs=1e-5)


def test_threshold_grows_from_three_quarters_of_the_largest_entropy_to_all_of_it():
    assert entropy_threshold(2, 0.0) == pytest.approx(0.75 * math.log(2))
    assert entropy_threshold(7, 0.5) == pytest.approx(0.875 * math.log(7))
    assert entropy_threshold(7, 1.0) == pytest.approx(math.log(7))


def test_masked_mse_agrees_with_loops_over_voxels():
    student, mean = probabilities(2, 3, 3, 4, 2), probabilities(2, 3, 3, 4, 2, seed=1)
    teacher = probabilities(2, 3, 3, 4, 2, seed=2)
    threshold = entropy_threshold(3, 0.1)
    certain = predictive_entropy(mean) < threshold
    total, count = 0.0, 0
    for b in range(2):
        for z in range(3):
            for y in range(4):
                for x in range(2):
                    entropy = -sum(p * math.log(p + 1e-6) for p in mean[b, :, z, y, x].tolist())
                    if entropy >= (0.75 + 0.25 * 0.1) * math.log(3):
                        continue
                    pairs = zip(student[b, :, z, y, x].tolist(), teacher[b, :, z, y, x].tolist(), strict=True)
                    total += sum((s - t) ** 2 for s, t in pairs)
                    count += 3
    assert 0 < count < 3 * certain.numel()
    assert mean_where(softmax_mse(student, teacher), certain).item() == pytest.approx(total / count)


def test_where_nothing_is_certain_the_loss_is_zero_and_can_be_differentiated():
    student = probabilities(1, 2, 3).requires_grad_()
    loss = mean_where(softmax_mse(student, probabilities(1, 2, 3, seed=1)), torch.zeros(1, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert student.grad.abs().sum() == 0
