"""Environment variables that have other values for a while, for what nnU-Net reads from nowhere else."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables; afterwards they are what they were, or not set."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def without_wandb() -> AbstractContextManager[None]:
    """A trainer that is made in here logs to its own files alone.

    nnU-Net's logger opens a run of Weights & Biases when a trainer is made; a process has one, which is the training's
    that the user began.
    """
    return environment({"nnUNet_wandb_enabled": "0"})
