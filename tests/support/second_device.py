"""A GPU that is none: tensors "on cuda:0" have their values on the CPU, and are refused what a GPU's are refused.

Within `second_device()` whatever runs on `torch.device("cuda")` runs on any machine, with real values. What fails on a
GPU because something was left on the other device fails here, too: operations on tensors of both, NumPy's view of a
tensor on the GPU, a random generator of the other device. Autocast is the CPU's, in float16. Streams, memory, kernels
and torch.compile are not there.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_iter, tree_map_only

CUDA = torch.device("cuda:0")

_aten = torch.ops.aten
_COPIES = _aten.copy_.default  # between devices
_INDEXES = {  # tensors on a GPU by indices on either device
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
}


class OnGpu(Tensor):
    """A tensor on cuda:0, whose values are `held` by the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "OnGpu":
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="cpu",  # what torch's own code sees, which would look for a driver
            requires_grad=held.requires_grad,
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)

    def __repr__(self, **_: Any) -> str:
        return f"OnGpu({self.held})"

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.held.detach().requires_grad_(self.requires_grad).__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        _refuse_two_devices(function, args, kwargs)
        given, options = tree_map_only(OnGpu, lambda tensor: tensor.held, (args, dict(kwargs)))
        options.pop("device", None)
        result = function(*given, **options)
        if function is _COPIES and not isinstance(args[0], OnGpu):
            return args[0]
        return return_and_correct_aliasing(function, args, kwargs, tree_map_only(Tensor, OnGpu, result))


def _refuse_two_devices(function: Any, args: tuple, kwargs: dict) -> None:
    if function is _COPIES or (function in _INDEXES and isinstance(args[0], OnGpu)):
        return
    tensors = (value for value in tree_iter((args, kwargs)) if isinstance(value, Tensor))
    if any(tensor.dim() and not isinstance(tensor, OnGpu) for tensor in tensors):
        raise RuntimeError(f"{function}: expected all tensors to be on the same device, found cuda:0 and cpu")


class _Move(torch.autograd.Function):
    """To the GPU or back; gradients go the other way."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, to_gpu: bool) -> Tensor:
        ctx.to_gpu = to_gpu
        return OnGpu(tensor.detach().clone()) if to_gpu else tensor.held.clone()  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        return gradient.held if ctx.to_gpu else OnGpu(gradient), None  # type: ignore[attr-defined]


def move(tensor: Tensor, *, to_gpu: bool) -> Tensor:
    """The same tensor where it lies there already, else a copy."""
    return tensor if isinstance(tensor, OnGpu) == to_gpu else _Move.apply(tensor, to_gpu)


def is_gpu(device: Any) -> bool:
    """Whether torch would take this for a CUDA device."""
    return isinstance(device, int) or torch.device(device).type == "cuda"


class Generator(torch.Generator):
    """Knows the device that it was made for."""

    def __new__(cls, device: Any = "cpu") -> "Generator":
        made = super().__new__(cls, "cpu")
        made.on_gpu = is_gpu(device)
        return made

    @property
    def device(self) -> torch.device:
        return CUDA if self.on_gpu else torch.device("cpu")


class _SecondDevice(TorchFunctionMode):
    """Answers all that names a device, before torch looks for a driver."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        if function is Tensor.to:
            return _to(*args, **kwargs)
        if function in (Tensor.cuda, Tensor.cpu):
            return move(args[0], to_gpu=function is Tensor.cuda)
        if function is Tensor.pin_memory:
            return first
        if isinstance(first, OnGpu):
            if function in (Tensor.numpy, Tensor.__array__):
                raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
            if function is Tensor.tolist:
                return first.held.tolist()
            if function is torch.unravel_index:  # asks for the device itself
                return tree_map_only(Tensor, OnGpu, function(first.held, *args[1:], **kwargs))
        device = kwargs.get("device", first.device if isinstance(first, Tensor) else "cpu")
        _refuse_generator(kwargs.get("generator"), device)
        if kwargs.get("device") is None:
            return function(*args, **kwargs)
        there = isinstance(first, OnGpu)
        made = function(*args, **{**kwargs, "device": None if there else "cpu"})
        return move(made, to_gpu=is_gpu(device))


def _to(tensor: Tensor, *args: Any, copy: bool = False, **kwargs: Any) -> Tensor:
    if args and isinstance(args[0], Tensor):
        args = (args[0].device, args[0].dtype, *args[1:])
    device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    options = {} if memory_format is None else {"memory_format": memory_format}
    if copy or dtype is not None or options:
        tensor = Tensor.to(tensor, tensor.dtype if dtype is None else dtype, copy=copy, **options)
    return tensor if device is None else move(tensor, to_gpu=is_gpu(device))


def _refuse_generator(generator: Generator | None, device: Any) -> None:
    if generator is not None and generator.on_gpu != is_gpu("cpu" if device is None else device):
        raise RuntimeError(f"expected a generator of {device}, found one of {generator.device}")


_autocast, _load, _run_thread = torch.autocast.__init__, torch.load, threading.Thread.run


def _autocast_here(self: Any, device_type: str, dtype: Any = None, **others: Any) -> None:
    if device_type == "cuda":
        device_type, dtype = "cpu", dtype or torch.float16
    _autocast(self, device_type, dtype, **others)


def _load_here(file: Any, map_location: Any = None, **others: Any) -> Any:
    to_gpu = isinstance(map_location, (str, torch.device)) and is_gpu(map_location)
    loaded = _load(file, map_location="cpu" if to_gpu else map_location, **others)
    return tree_map_only(Tensor, lambda tensor: move(tensor, to_gpu=True), loaded) if to_gpu else loaded


def _run_thread_here(self: threading.Thread) -> None:
    with _SecondDevice():  # a mode is its thread's own
        _run_thread(self)


def _no_inference_mode(mode: bool) -> contextlib.AbstractContextManager:
    return torch.no_grad() if mode else contextlib.nullcontext()  # inference tensors cannot be wrapped


_REPLACED = (
    (torch, "Generator", Generator),
    (torch, "load", _load_here),
    (torch.autocast, "__init__", _autocast_here),
    (torch._C, "_InferenceMode", _no_inference_mode),
    (threading.Thread, "run", _run_thread_here),
    (torch.backends.cudnn, "version", lambda: 0),
    (torch.cuda, "is_available", lambda: True),
    (torch.cuda, "is_bf16_supported", lambda **_: True),
    (torch.cuda, "device_count", lambda: 1),
    (torch.cuda, "current_device", lambda: 0),
    (torch.cuda, "get_device_name", lambda *_: "a GPU that is none"),
    (torch.cuda, "synchronize", lambda *_: None),
    (torch.cuda, "empty_cache", lambda: None),
    (torch.optim.Optimizer, "_accelerator_graph_capture_health_check", lambda _: None),
    (torch.optim.Optimizer, "_cuda_graph_capture_health_check", lambda _: None),  # its name in torch before 2.10
)


@contextlib.contextmanager
def second_device() -> Iterator[None]:
    """Everything in here, threads that it starts included, finds one GPU; child processes do not."""
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with contextlib.ExitStack() as stack:
            for target, name, value in _REPLACED:
                if hasattr(target, name):
                    stack.enter_context(mock.patch.object(target, name, value))
            stack.enter_context(_SecondDevice())
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrites)
