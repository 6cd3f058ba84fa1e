"""Bytes count as long as a tensor is held by anyone, once, on real tensors and on those without values."""

import pytest
import torch
from torch import nn

from nnunetv2_muduo.memory.live_bytes import LiveBytes
from nnunetv2_muduo.memory.scratch import reordered_copies
from nnunetv2_muduo.memory.simulation import tensors_without_values


def test_tensor_counts_until_nothing_holds_it():
    with LiveBytes() as live:
        first = torch.zeros(100)
        view = first.view(10, 10)
        assert live.now == 400
        del first
        assert live.now == 400  # the view still holds it
        del view
        assert live.now == 0
    assert live.peak == 400


def test_what_lies_between_two_operations_counts_for_the_peak_alone():
    with LiveBytes() as live:
        start = torch.zeros(100)
        live.restart_peak()
        start = (start + 1) * 2
        assert (live.now, live.peak) == (400, 1200)
        del start


def test_sizes_are_rounded_up_to_blocks():
    with LiveBytes(block=512) as live:
        held = torch.zeros(1), torch.zeros(200)
        assert live.now == 512 + 1024
        del held


def test_copies_of_a_convolution_count_while_it_runs():
    image, layer = torch.zeros(1, 2, 4, 4, 4), nn.Conv3d(2, 3, 1)
    with torch.no_grad(), LiveBytes() as plain:
        layer(image)
    with torch.no_grad(), LiveBytes(scratch=reordered_copies) as with_copies:
        layer(image)
    weights = sum(parameter.numel() for parameter in layer.parameters())
    assert with_copies.peak - plain.peak == 4 * (image.numel() + weights + 3 * 64)


def test_freed_tensors_and_copies_of_convolutions_keep_their_places():
    image, layer = torch.zeros(1, 2, 4, 4, 4), nn.Conv3d(2, 3, 1, bias=False)
    with torch.no_grad(), LiveBytes(scratch=reordered_copies) as live:
        for _ in range(2):
            layer(image)
            image = torch.zeros(1, 2, 4, 4, 4)
    weights = layer.weight.numel()
    assert live.now == 4 * image.numel()
    # of images the copy and, made while the one before is still there, two; of results one and its copy
    assert live.places.peak == 4 * (2 * image.numel() + weights + 2 * 3 * 64)


@pytest.mark.parametrize("block", [1, 512])
def test_step_without_values_holds_what_the_real_step_holds(block: int):
    def step() -> tuple[int, int, int]:
        live = LiveBytes(block=block)
        with live:
            network = nn.Sequential(
                nn.Conv3d(2, 4, 3, padding=1), nn.InstanceNorm3d(4, affine=True), nn.LeakyReLU(inplace=True),
                nn.Conv3d(4, 3, 3, stride=2, padding=1),
            )  # fmt: skip
            optimiser = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, nesterov=True)
            for _ in range(2):
                optimiser.zero_grad(set_to_none=True)
                logits = network(torch.zeros(2, 2, 8, 8, 8))
                loss = nn.functional.cross_entropy(logits, torch.zeros(2, 4, 4, 4, dtype=torch.long))
                loss.backward()
                optimiser.step()
                del loss, logits
            held = live.now
            parameters = sum(parameter.numel() for parameter in network.parameters())
        return held, live.peak, parameters

    real = step()
    with tensors_without_values():
        simulated = step()
    assert real[2] == simulated[2]
    assert simulated[:2] == pytest.approx(real[:2], rel=0.01)
    if block == 1:
        assert real[0] == 3 * 4 * real[2]  # weights, gradients and momentum, and nothing else
