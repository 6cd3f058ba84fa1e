"""Running a training step on tensors without values: shapes, types and lifetimes are real, nothing is computed."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

_aten = torch.ops.aten

# What CUDA's autocast computes in float32 whatever it is given, as far as losses and teachers use it ("CUDA Ops that
# can autocast to float32" in torch's documentation of amp); the CPU's autocast leaves these in half precision.
_IN_FLOAT32 = frozenset(
    {
        "cross_entropy", "cumsum", "exp", "group_norm", "layer_norm", "log", "log_softmax", "logsumexp", "mse_loss",
        "nll_loss", "norm", "pow", "prod", "softmax", "softplus", "sum",
    }
)  # fmt: skip


class Answers(TorchDispatchMode):
    """Answers what a step asks of values, which tensors without values cannot: in general the dearest answer.

    Every element of a mask is set, so that every organ is asked for in every patch; an integer is the number of
    organs, the only one that a step reads. Whether there are prompts of a kind, which `ClickUNet` alone asks, is
    denied: it computes as much then as with one kind, and no teacher is prompted in more.

    Args:
        organs: K.
    """

    def __init__(self, organs: int) -> None:
        super().__init__()
        self.organs = organs

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function is _aten.nonzero.default:
            return torch.empty(args[0].numel(), args[0].ndim, dtype=torch.long, device=args[0].device)
        if function is _aten._local_scalar_dense.default:
            return self._scalar(args[0].dtype)
        return function(*args, **(kwargs or {}))

    def _scalar(self, dtype: torch.dtype) -> float | int | bool:
        if dtype is torch.bool:
            return False
        return 1.0 if dtype.is_floating_point else self.organs


class AutocastEinsum(TorchFunctionMode):
    """Casts what `einsum` is given: in inference mode `LiveBytes` looks at its parts, which autocast does not reach."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function is torch.einsum and torch.is_autocast_enabled("cpu"):
            half = torch.get_autocast_dtype("cpu")
            args = tree_map_only(Tensor, lambda tensor: tensor.to(half), args)
        return function(*args, **(kwargs or {}))


class WithoutValues(TorchFunctionMode):
    """Lets a step hand numbers to its log: arrays of zeros."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if function is Tensor.numpy:
            return np.zeros(tuple(args[0].shape), dtype=np.float32)
        return function(*args, **(kwargs or {}))


class CudaPrecision(TorchFunctionMode):
    """Within the CPU's autocast, does in float32 what CUDA's autocast does in float32."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in _IN_FLOAT32 and torch.is_autocast_enabled("cpu"):
            args, kwargs = tree_map_only(Tensor, _full, (args, kwargs))
        return function(*args, **kwargs)


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


@contextlib.contextmanager
def tensors_without_values() -> Iterator[None]:
    """Tensors made in here have no values and take no memory."""
    with FakeTensorMode(allow_non_fake_inputs=True), WithoutValues(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Accessing the data pointer of FakeTensor")  # by torch's own deepcopy
        yield


@contextlib.contextmanager
def precision_of_cuda() -> Iterator[None]:
    """On the CPU, types as in nnU-Net's steps on CUDA (bfloat16 stands for float16: both take two bytes)."""
    with CudaPrecision(), torch.autocast("cpu", torch.bfloat16):
        yield
