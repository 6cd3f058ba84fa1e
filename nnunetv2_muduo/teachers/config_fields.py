"""What every field of a teacher's configuration must be, whatever it means."""

import math
from dataclasses import fields
from typing import Any


def refuse_impossible(config: Any) -> None:
    """Compare each field of a dataclass with its default: a number must be a positive one of that kind.

    Whole numbers are taken for fractions, but not the reverse; members of a tuple may be 0, as indices are.

    Raises:
        ValueError: naming the first field that is something else.
    """
    for field in fields(config):
        value, default = getattr(config, field.name), field.default
        if isinstance(default, tuple):
            if not isinstance(value, tuple) or not all(_is_whole(member) and member >= 0 for member in value):
                raise ValueError(f"{field.name} is {value!r}; it must be a list of whole numbers")
        elif isinstance(default, str):
            if not isinstance(value, str):
                raise ValueError(f"{field.name} is {value!r}; it must be a text")
        elif not (_is_whole(value) or (isinstance(default, float) and isinstance(value, float))):
            raise ValueError(
                f"{field.name} is {value!r}; it must be a {'' if isinstance(default, float) else 'whole '}number"
            )
        elif not (math.isfinite(value) and value > 0):
            raise ValueError(f"{field.name} is {value}; it must be greater than 0")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
