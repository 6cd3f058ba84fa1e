"""Every checkpoint that differs from a valid one in one entry: tensors in kind, shape or numbers, all else in type."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

JUNK: tuple[Any, ...] = (None, True, "text", -1, 10**30, 0.5, float("nan"), [], [None], {}, {"more": 0}, torch.ones(7))
KINDS = (
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.int8,
    torch.int64,
    torch.uint16,
    torch.bool,
    torch.complex64,
)


def mutated_checkpoints(content: Any, *, closed: Collection[str] = ()) -> Iterator[tuple[str, Any]]:
    """(what was done where, the whole), entry by entry; what is not mutated is shared with the valid one.

    Args:
        content: of a checkpoint.
        closed: names of entries that are something else as a whole alone.
    """
    for place, value in _entries(content, closed):
        if not place:
            continue
        name = ".".join(map(str, place))
        for how, changed in _instead_of(value):
            yield f"{name}: {how}", _with(content, place, changed)
        yield f"without {name}", _with(content, place[:-1], _without(content, place))


def _entries(value: Any, closed: Collection[str], place: tuple = ()) -> Iterator[tuple[tuple, Any]]:
    yield place, value
    if place and place[-1] in closed:
        return
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if type(value) in (list, tuple) else ()
    for key, part in parts:
        yield from _entries(part, closed, (*place, key))


def _instead_of(value: Any) -> Iterator[tuple[str, Any]]:
    yield from ((f"is {ascii(junk)[:40]}", junk) for junk in JUNK)
    if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
        yield "one more", {**value, "more": torch.ones(1)}
        yield "numbers for names", dict(enumerate(value.values()))
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        yield from (("as text", str(value)), ("in a list", [value]), ("negative", -value))
    if isinstance(value, Tensor):
        yield from ((f"of {kind}", value.to(kind)) for kind in KINDS if kind is not value.dtype)
        yield from (("flat", value.flatten()), ("one axis more", value[None]), ("empty", value.flatten()[:0]))
        yield "as an array", value.numpy()
        if value.is_floating_point() and value.numel():
            for odd in (float("nan"), float("inf")):
                broken = value.clone()
                broken.flatten()[-1] = odd
                yield f"with {odd}", broken


def _with(content: Any, place: tuple, value: Any) -> Any:
    """A copy in which one entry is another."""
    if not place:
        return value
    if isinstance(content, Mapping):
        return {**content, place[0]: _with(content[place[0]], place[1:], value)}
    parts = [_with(part, place[1:], value) if at == place[0] else part for at, part in enumerate(content)]
    return type(content)(parts)


def _without(content: Any, place: tuple) -> Any:
    """What holds the entry, without it."""
    for key in place[:-1]:
        content = content[key]
    if isinstance(content, Mapping):
        return {key: part for key, part in content.items() if key != place[-1]}
    return type(content)(part for at, part in enumerate(content) if at != place[-1])
