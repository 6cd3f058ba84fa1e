"""The tiny dataset that tests of this room begin with."""

from tiny_dataset import prepared, tiny_dataset

__all__ = ["prepared", "tiny_dataset"]
