"""The network inside the wrappers that nnU-Net puts around it."""

from torch import nn
from torch._dynamo import OptimizedModule


def unwrapped(network: nn.Module) -> nn.Module:
    """The module inside DDP's and torch.compile's wrappers."""
    if isinstance(network, nn.parallel.DistributedDataParallel):
        network = network.module
    return network._orig_mod if isinstance(network, OptimizedModule) else network
