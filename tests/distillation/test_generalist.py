import pytest
import torch

from nnunetv2_muduo.distillation import generalist_loss


def test_loss_agrees_with_loops_over_patches_and_organs():
    generator = torch.Generator().manual_seed(0)
    student, answer = (torch.rand(3, 2, 2, 3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    valid = torch.tensor([[True, False], [True, True], [False, False]])
    organs = []
    for k in range(2):
        patches = []
        for b in range(3):
            if valid[b, k]:
                pairs = zip(student[b, k].flatten().tolist(), answer[b, k].flatten().tolist(), strict=True)
                patches.append(sum((s - (a > 0.5)) ** 2 for s, a in pairs) / 24)
        organs.append(sum(patches) / len(patches))
    assert generalist_loss(student, answer, valid).item() == pytest.approx(sum(organs) / 2)
    weighted = generalist_loss(student, answer, valid, torch.tensor([0.0, 0.5])).item()
    assert weighted == pytest.approx(0.5 * organs[1] / 2), "an organ of weight 0 leaves its share to nobody"


def test_an_organ_that_was_found_nowhere_does_not_count():
    student = torch.full((2, 2, 4), 0.25)
    answer = torch.ones(2, 2, 4)
    valid = torch.tensor([[True, False], [True, False]])
    assert generalist_loss(student, answer, valid).item() == pytest.approx(0.75**2)


def test_without_any_organ_the_loss_is_zero_and_can_be_differentiated():
    student = torch.full((1, 1, 4), 0.3, requires_grad=True)
    loss = generalist_loss(student, torch.ones(1, 1, 4), torch.zeros(1, 1, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0
    assert student.grad.abs().sum() == 0


def test_answers_made_in_inference_mode_can_be_learnt_from():
    student = torch.full((1, 2, 4), 0.3, requires_grad=True)
    with torch.inference_mode():
        answer, valid = torch.ones(1, 2, 4), torch.ones(1, 2, dtype=torch.bool)
    generalist_loss(student, answer, valid).backward()
    assert (student.grad < 0).all(), "a larger probability would lower the loss"
