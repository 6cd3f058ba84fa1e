import torch

from nnunetv2_muduo.distillation import consistency_loss


def test_a_perfect_student_has_no_loss_and_an_opposite_one_all_of_it():
    label = torch.zeros(1, 2, 4, 4, 4, dtype=torch.bool)
    label[:, :, 0] = True
    student = torch.stack([label[:, 0], ~label[:, 1]], 1).float()
    assert torch.allclose(consistency_loss(student, label), torch.tensor([[0.0, 1.0]]), atol=1e-6)


def test_nothing_to_find_and_nothing_found_is_no_loss():
    assert consistency_loss(torch.zeros(1, 1, 2, 2, 2), torch.zeros(1, 1, 2, 2, 2, dtype=torch.bool)).item() == 0
