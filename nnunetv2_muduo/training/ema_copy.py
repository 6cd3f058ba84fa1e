"""The exponential moving average of a student: Mean Teacher's teacher, and a student to predict with."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EmaCopy:
    """A copy of a network whose parameters follow the network's slowly (arXiv 1703.01780).

    After step s (from 0) of the network, ema = d * ema + (1 - d) * network with d = min(1 - 1/(s + 1), decay): a true
    mean of all steps until there are 1/(1 - decay) of them. Buffers are copied instead: running statistics are averages
    already, and a mean of counters says nothing. Tensors that a network holds under several names are averaged once.

    The copy takes no gradients and stays in the mode its network had when it was made (training mode, as published:
    dropout, where plans have it, disturbs the teacher, too).

    Args:
        network: without DDP's or torch.compile's wrapper; not changed.
        decay: d in the long run, from 0 (no memory) to 1 (mean of all steps).
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay
        self.steps = 0

    def decay_now(self) -> float:
        """d of the next update."""
        return min(1 - 1 / (self.steps + 1), self.decay)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Follow the network, after one step of its optimiser."""
        weight = 1 - self.decay_now()
        for average, parameter in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(parameter, weight)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)
        self.steps += 1

    @torch.no_grad()
    def begin_at(self, network: nn.Module) -> None:
        """Begin anew at the network's present weights."""
        for mine, theirs in zip(_tensors(self.network), _tensors(network), strict=True):
            mine.copy_(theirs)
        self.steps = 0

    @torch.no_grad()
    def exchange(self, network: nn.Module) -> None:
        """Swap all tensors with the network's, in place, so that wrappers and optimisers of the network need not know.

        Between two calls the network holds the average, and this copy the network's own weights; bit for bit.
        """
        for mine, theirs in zip(_tensors(self.network), _tensors(network), strict=True):
            own = mine.clone()
            mine.copy_(theirs)
            theirs.copy_(own)

    @contextmanager
    def in_place_of(self, network: nn.Module) -> Iterator[None]:
        """The network holds the average as long as this lasts."""
        self.exchange(network)
        try:
            yield
        finally:
            self.exchange(network)


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    """Parameters and buffers, each once, unlike in a state dictionary."""
    yield from network.parameters()
    yield from network.buffers()
