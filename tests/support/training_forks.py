"""Whether forks of this process can train."""

import os

import torch


def trains_in_forks() -> bool:
    """Torch differentiates in no fork of a process that has itself done so; found out by trying."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.ones(1, requires_grad=True).sum().backward()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0
