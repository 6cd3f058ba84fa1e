import torch
from torch import nn

from nnunetv2_muduo.semisupervised.prompt_network import SingleChannelNetwork


def test_only_the_chosen_channel_reaches_the_network():
    network = SingleChannelNetwork(nn.Conv3d(1, 2, 1), channel=1)
    image = torch.randn(2, 3, 4, 5, 6)
    other = image.clone()
    other[:, [0, 2]] = 99.0
    assert torch.equal(network(image), network(other))
    assert not torch.equal(network(image), network(image.flip(2)))


def test_channel_travels_in_the_checkpoint():
    trained = SingleChannelNetwork(nn.Conv3d(1, 2, 1), channel=0)
    loaded = SingleChannelNetwork(nn.Conv3d(1, 2, 1), channel=2)
    loaded.load_state_dict(trained.state_dict())
    assert loaded.channel.tolist() == [0]
