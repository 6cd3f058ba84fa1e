import copy

import pytest
import torch
from torch import nn

from nnunetv2_muduo.training.ema_copy import EmaCopy


class Shared(nn.Module):
    """Holds its encoder under two names, as nnU-Net's U-Nets do, and has buffers."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.encoder = nn.Conv1d(2, 3, 1)
        self.decoder = nn.Sequential(self.encoder, nn.BatchNorm1d(3), nn.Dropout(0.5))


def walk(network: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
        network.decoder[1].running_mean.fill_(step)
        network.decoder[1].num_batches_tracked += 1


def test_average_agrees_with_a_plain_loop():
    network = Shared(0)
    ema = EmaCopy(network, decay=0.75)
    expected = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for step in range(8):
        walk(network, step)
        decay = min(1 - 1 / (step + 1), 0.75)
        for name, parameter in network.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * parameter.detach()
        ema.update(network)
    for name, parameter in ema.network.named_parameters():
        assert torch.allclose(parameter, expected[name], atol=1e-6)


def test_average_is_the_mean_of_all_steps_at_first_and_begins_at_the_first():
    network, seen = Shared(0), []
    ema = EmaCopy(network, decay=0.99)
    for step in range(5):
        walk(network, step)
        ema.update(network)
        seen.append(network.encoder.weight.detach().clone())
        assert torch.allclose(ema.network.encoder.weight, torch.stack(seen).mean(0), atol=1e-6)
        assert step or torch.equal(ema.network.encoder.weight, seen[0])


def test_buffers_are_those_of_the_last_step():
    network = Shared(0)
    ema = EmaCopy(network, decay=0.9)
    for step in range(4):
        walk(network, step)
        ema.update(network)
    assert ema.network.decoder[1].running_mean.tolist() == [3.0] * 3
    assert ema.network.decoder[1].num_batches_tracked == 4


def test_exchanging_twice_changes_no_bit_and_once_swaps_everything():
    network = Shared(0)
    ema = EmaCopy(Shared(1), decay=0.9)
    walk(network, 7)
    mine, theirs = copy.deepcopy(ema.network.state_dict()), copy.deepcopy(network.state_dict())
    with ema.in_place_of(network):
        assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in mine.items())
        assert all(torch.equal(ema.network.state_dict()[name], tensor) for name, tensor in theirs.items())
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in theirs.items())
    assert all(torch.equal(ema.network.state_dict()[name], tensor) for name, tensor in mine.items())


def test_weights_are_back_in_place_after_a_failure():
    network = Shared(0)
    ema, before = EmaCopy(Shared(1), decay=0.9), network.encoder.weight.detach().clone()
    with pytest.raises(ZeroDivisionError), ema.in_place_of(network):
        _ = 1 / 0
    assert torch.equal(network.encoder.weight, before)


def test_the_copy_takes_no_gradients_and_keeps_its_mode():
    network = Shared(0).train()
    ema = EmaCopy(network, decay=0.9)
    assert not any(parameter.requires_grad for parameter in ema.network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert ema.network.training
    assert ema.network.encoder is ema.network.decoder[0], "one tensor under two names stays one"
