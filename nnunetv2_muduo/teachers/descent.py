"""A step of an optimiser with clipped gradients."""

from torch import Tensor, nn
from torch.optim import Optimizer


def descend(loss: Tensor, network: nn.Module, optimiser: Optimizer, *, largest_gradient: float) -> float:
    """Take a step along the gradients of this loss alone, and return its value.

    Args:
        loss: a scalar that the network's parameters led to.
        network: its gradients are scaled down together where their norm is larger than `largest_gradient`.
        optimiser: of the network's parameters, or some of them.
        largest_gradient: norm over all parameters.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    step_clipped(network, optimiser, largest_gradient=largest_gradient)
    return loss.item()


def step_clipped(network: nn.Module, optimiser: Optimizer, *, largest_gradient: float) -> None:
    """Take a step along the gradients that have been added up; see `descend`."""
    nn.utils.clip_grad_norm_(network.parameters(), largest_gradient)
    optimiser.step()
