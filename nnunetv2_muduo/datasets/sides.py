"""Labels that differ by left and right alone: a mirrored scan shows the one where the other is."""

import re
from collections.abc import Iterable

_SIDES = {"left": 0, "l": 0, "lt": 0, "right": 1, "r": 1, "rt": 1}


def left_and_right(labels: Iterable[str]) -> list[tuple[str, str]]:
    """(left, right) of each organ that has a label for both sides, such as kidney_left and kidney_right.

    Args:
        labels: names; capitals, punctuation and the order of words do not matter.
    """
    found: dict[tuple[str, ...], dict[int, str]] = {}
    for label in labels:
        words = re.sub(r"[\W_]+", " ", re.sub(r"([a-z])([A-Z])", r"\1 \2", label)).casefold().split()
        sides = [_SIDES[word] for word in words if word in _SIDES]
        if len(sides) == 1:
            organ = tuple(sorted(word for word in words if word not in _SIDES))
            found.setdefault(organ, {})[sides[0]] = label
    return [(pair[0], pair[1]) for pair in found.values() if len(pair) == 2]


def told_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs as a phrase."""
    return "; ".join(f"{left} and {right}" for left, right in pairs)
