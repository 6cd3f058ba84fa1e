import torch

from nnunetv2_muduo.distillation import StudentVote, fuse


def test_mix_is_the_weight_of_the_ct_teacher():
    p_ct, p_pet = torch.ones(1, 2, 2, 2, 2), torch.zeros(1, 2, 2, 2, 2)
    pseudo_label = fuse(p_ct, p_pet, torch.tensor([[0.6, 0.4]]))
    assert pseudo_label[0, 0].all()
    assert not pseudo_label[0, 1].any()


def test_exactly_one_half_is_background():
    half = torch.full((1, 1, 2, 2, 2), 0.5)
    assert not fuse(half, half, torch.tensor([[0.25]])).any()


def test_without_a_mix_both_teachers_weigh_the_same():
    p_ct, p_pet = torch.rand(2, 1, 2, 3, 3, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fuse(p_ct, p_pet), fuse(p_ct, p_pet, torch.full((1, 2), 0.5)))


def test_the_student_votes_with_its_share_and_the_teachers_with_the_rest():
    p_ct, p_pet, own = (torch.full((1, 1, 1, 1, 1), value) for value in (0.9, 0.5, 0.1))
    mix = torch.tensor([[0.5]])  # teachers: 0.7
    assert fuse(p_ct, p_pet, mix, vote=StudentVote(own, 0.3)).all()  # 0.52
    assert not fuse(p_ct, p_pet, mix, vote=StudentVote(own, 0.35)).any()  # 0.49
    assert fuse(p_ct, p_pet, mix).all()
