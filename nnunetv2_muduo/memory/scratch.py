"""What convolutions take beside their tensors while they run."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_iter

_CONVOLUTIONS = (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default)


def reordered_copies(function: Any, args: tuple, result: Any) -> list[int]:
    """Bytes of a copy of each tensor that a convolution reads and writes.

    Both libraries compute on channels-last or blocked tensors and reorder what is laid out otherwise: cuDNN for tensor
    cores (NVIDIA's Convolutional Layers User's Guide, "Tensor Layouts In Memory"), oneDNN on CPUs (its developer guide,
    "Memory Format Propagation").
    """
    if function not in _CONVOLUTIONS:
        return []
    tensors = [leaf for leaf in tree_iter((args, result)) if isinstance(leaf, Tensor)]
    return [tensor.numel() * tensor.element_size() for tensor in tensors]
