"""Patches that come in the same order with the same augmentation, whatever else draws random numbers."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter


class RepeatableStream(SingleThreadedAugmenter):
    """A stream of patches that draws from random states of its own, so that no other consumer changes its course."""

    def __init__(self, stream: SingleThreadedAugmenter, seed: int) -> None:
        super().__init__(stream.data_loader, stream.transform)
        with _kept_states():
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            self.states = _states()

    def __next__(self) -> dict:
        with _kept_states():
            _restore(self.states)
            item = super().__next__()
            self.states = _states()
        return item


def repeatable(stream: Any, seed: int) -> Any:
    """The stream with a course of its own; streams of worker processes are left as they are."""
    return RepeatableStream(stream, seed) if isinstance(stream, SingleThreadedAugmenter) else stream


@contextlib.contextmanager
def _kept_states() -> Iterator[None]:
    before = _states()
    try:
        yield
    finally:
        _restore(before)


def _states() -> tuple[Any, Any, Any]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _restore(states: tuple[Any, Any, Any]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
