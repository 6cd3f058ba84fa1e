"""What a setting may be, and the sentence a user reads when it is something else."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, TypeVar

from nnunetv2_muduo.errors import UserError, shortened

Table = TypeVar("Table")


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    names: tuple[str, ...]

    def describe(self) -> str:
        return " or ".join(f'"{name}"' for name in self.names)

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.names


@dataclass(frozen=True)
class Name:
    """Any non-empty word (a teacher's name or file name)."""

    def describe(self) -> str:
        return "a name in quotes"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str) and bool(value.strip())


@dataclass(frozen=True)
class Whole:
    """A whole number of at least `minimum`, within 32 bits; true and false do not count as numbers."""

    minimum: int

    def describe(self) -> str:
        return f"a whole number of at least {self.minimum}, below 2^31"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and self.minimum <= value < 2**31


@dataclass(frozen=True)
class Real:
    """A number in a closed interval, or one open at its lower end."""

    minimum: float
    maximum: float
    open_below: bool = False

    def describe(self) -> str:
        opening = "above" if self.open_below else "from"
        return f"a number {opening} {self.minimum:g} up to {self.maximum:g}"

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        above = value > self.minimum if self.open_below else value >= self.minimum
        return above and value <= self.maximum  # NaN fails both comparisons


@dataclass(frozen=True)
class Switch:
    """True or false."""

    def describe(self) -> str:
        return "true or false"

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)


@dataclass(frozen=True)
class Sizes:
    """As many whole numbers, each of at least `minimum`."""

    number: int
    minimum: int

    def describe(self) -> str:
        return f"a list of {self.number} whole numbers of at least {self.minimum}"

    def accepts(self, value: Any) -> bool:
        each = Whole(self.minimum)
        return isinstance(value, list | tuple) and len(value) == self.number and all(map(each.accepts, value))


@dataclass(frozen=True)
class Different:
    """Whole numbers from 0, at least one, each once."""

    def describe(self) -> str:
        return "a list of different whole numbers of at least 0"

    def accepts(self, value: Any) -> bool:
        if not (isinstance(value, list | tuple) and value):
            return False
        return all(map(Whole(0).accepts, value)) and len(set(value)) == len(value)


@dataclass(frozen=True)
class Range:
    """Two numbers between `minimum` and `maximum`, the smaller one first."""

    minimum: float
    maximum: float

    def describe(self) -> str:
        return f"a list of two numbers from {self.minimum:g} up to {self.maximum:g}, the smaller one first"

    def accepts(self, value: Any) -> bool:
        each = Real(self.minimum, self.maximum)
        two = isinstance(value, list | tuple) and len(value) == 2 and all(map(each.accepts, value))
        return two and value[0] <= value[1]


Rule = Switch | Choice | Name | Whole | Real | Sizes | Different | Range


def setting(default: Any, rule: Rule, *, optional: bool = False) -> Any:
    """A field of a dataclass of settings; None is allowed where it is `optional`."""
    return field(default=default, metadata={"rule": rule, "optional": optional})


def check_settings(settings: Any) -> None:
    """Check every field of a dataclass of settings against its rule.

    Raises:
        UserError: naming the key, the value and what is allowed.
    """
    for item in fields(settings):
        _check(item.name, getattr(settings, item.name), **item.metadata)


def settings_from(table: type[Table], given: Mapping[str, Any]) -> Table:
    """Build settings of a class from a table whose keys are all optional; lists become tuples.

    Raises:
        UserError: for an unknown key, naming it and the nearest one there is.
    """
    known = [item.name for item in fields(table)]  # type: ignore[arg-type]
    for key, value in given.items():
        if key not in known:
            raise UserError(_unknown_key(key, value, known))
    return table(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


def shown(value: Any) -> str:
    """A value the way a plans file (JSON) would show it, cut where it is long."""
    try:
        return shortened(json.dumps(value))
    except TypeError:
        return shortened(repr(value))


def _check(key: str, value: Any, *, rule: Rule, optional: bool) -> None:
    if (optional and value is None) or rule.accepts(value):
        return
    allowed = f"null or {rule.describe()}" if optional else rule.describe()
    raise UserError(f"Setting '{key}' is {shown(value)}, but must be {allowed}.")


def _unknown_key(key: Any, value: Any, known: Iterable[str]) -> str:
    close = get_close_matches(str(key), known, n=1, cutoff=0.0)
    return f"Unknown setting '{key}' ({shown(value)}); did you mean '{close[0]}'? Known settings: {', '.join(known)}."
