"""How many bytes tensors hold, operation by operation."""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from nnunetv2_muduo.memory.kept_places import KeptPlaces


class LiveBytes(TorchDispatchMode):
    """While it is active, counts the bytes of all storages that operations return, for as long as anything holds them.

    Real tensors and fake ones (`torch._subclasses.FakeTensorMode`) are counted alike. A storage counts once, whatever
    views there are of it; one that is older counts from its first view on. What a kernel allocates and frees within one
    operation is not seen.

    Args:
        block: sizes are rounded up to multiples of this many bytes, as an allocator does.
        scratch: operation, its arguments, its result -> sizes of what its kernel needs beside them while it runs.

    Attributes:
        now: bytes that are held at present.
        peak: the most there were at any time since the start or the last `restart_peak`.
        places: what an allocator that keeps what is freed comes to hold, from the start on.
    """

    def __init__(self, *, block: int = 1, scratch: Callable[[Any, tuple, Any], Sequence[int]] | None = None) -> None:
        super().__init__()
        self.block, self.scratch = block, scratch
        self.now = self.peak = 0
        self.places = KeptPlaces()
        self._known: dict[int, weakref.ref] = {}

    def restart_peak(self) -> None:
        """Forget earlier peaks: what is held now is the first of the next."""
        self.peak = self.now

    def __torch_dispatch__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = NotImplemented
        if function.namespace == "aten":  # what is made of other operations is looked into, for what lies in between
            with self:
                result = function.decompose(*args, **kwargs)
        if result is NotImplemented:
            result = function(*args, **kwargs)
        for leaf in tree_iter(result):
            if isinstance(leaf, Tensor):
                self._note(leaf.untyped_storage())
        if self.scratch is not None:
            beside = self.scratch(function, args, result)
            self.peak = max(self.peak, self.now + sum(beside))
            for change in (self.places.take, self.places.free):
                for size in beside:
                    change(size)
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key in self._known:
            return
        size = -(-storage.nbytes() // self.block) * self.block

        def released(_: weakref.ref) -> None:
            self._known.pop(key, None)
            self.now -= size
            self.places.free(size)

        self._known[key] = weakref.ref(storage, released)
        self.now += size
        self.places.take(size)
        self.peak = max(self.peak, self.now)
