import torch

from nnunetv2_muduo.mae_training.step import seeded_generator, shown_to_network


def test_left_out_channels_are_zero_and_the_mask_is_not_changed():
    image, mask = torch.ones(1, 3, 2, 2, 2), torch.zeros(1, 3, 2, 2, 2, dtype=torch.bool)
    mask[0, 1, 0] = True
    before = mask.clone()
    shown = shown_to_network(image, mask, (1,))
    assert (shown[:, [0, 2]] == 0).all()
    assert torch.equal(shown[:, 1] == 0, mask[:, 1])
    assert torch.equal(mask, before)
    assert (shown_to_network(image, mask, None)[:, 0] == 1).all()


def test_generators_are_named_by_their_numbers():
    draws = [torch.rand(4, generator=seeded_generator(*numbers)).tolist() for numbers in ((0, 1), (0, 1), (1, 0), (0,))]
    assert draws[0] == draws[1]
    assert draws[0] != draws[2] != draws[3] != draws[0]
