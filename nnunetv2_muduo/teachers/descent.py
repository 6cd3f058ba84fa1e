"""A step of an optimiser with clipped gradients, unless they are not finite: these would end all weights."""

import math

from torch import Tensor, nn
from torch.optim import Optimizer


def descend(loss: Tensor, network: nn.Module, optimiser: Optimizer, *, largest_gradient: float) -> float:
    """Take a step along the gradients of this loss alone, and return its value, or nan where none was taken.

    Args:
        loss: a scalar that the network's parameters led to.
        network: its gradients are scaled down together where their norm is larger than `largest_gradient`.
        optimiser: of the network's parameters, or some of them.
        largest_gradient: norm over all parameters.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    stepped = step_clipped(network, optimiser, largest_gradient=largest_gradient)
    return loss.item() if stepped else math.nan


def step_clipped(network: nn.Module, optimiser: Optimizer, *, largest_gradient: float) -> bool:
    """Take a step along the gradients that have been added up, if they are finite, and say whether; see `descend`."""
    norm = nn.utils.clip_grad_norm_(network.parameters(), largest_gradient)
    if not norm.isfinite():
        return False
    optimiser.step()
    return True
