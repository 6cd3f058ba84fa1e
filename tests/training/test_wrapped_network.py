import torch
from torch import nn

from nnunetv2_muduo.training.wrapped_network import unwrapped


def test_the_network_is_found_inside_every_wrapper(monkeypatch):
    network = nn.Linear(2, 2)
    compiled = torch.compile(network, backend="eager")
    assert unwrapped(network) is unwrapped(compiled) is network

    class Wrapper(nn.Module):  # DDP's own wants other processes
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    monkeypatch.setattr(nn.parallel, "DistributedDataParallel", Wrapper)
    assert unwrapped(Wrapper(network)) is unwrapped(Wrapper(compiled)) is network
