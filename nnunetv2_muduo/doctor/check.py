"""What a check of `muduo doctor` says."""

from dataclasses import dataclass
from enum import Enum

from nnunetv2_muduo.nnunet_folders import DEFAULT_PLANS


class Mark(str, Enum):
    """How a check went: a `WARN` may stand in the way of some uses, a `FAIL` stands in the way of training."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the doctor's list.

    Attributes:
        name: what was looked at.
        mark: how it went.
        found: what was found, in a few words.
        remedy: what to do about it; empty when nothing is to be done.
    """

    name: str
    mark: Mark
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Check:
    """A check that found everything in order."""
    return Check(name, Mark.OK, found)


def warn(name: str, found: str, remedy: str) -> Check:
    """A check that found something worth a look."""
    return Check(name, Mark.WARN, found, remedy)


def fail(name: str, found: str, remedy: str) -> Check:
    """A check that found something that stops a training."""
    return Check(name, Mark.FAIL, found, remedy)


def plans_option(flag: str, plans_identifier: str) -> str:
    """What a remedy's command needs to work on these plans: " -p NAME", or nothing for those it takes by itself.

    Args:
        flag: of the command: -p, or -plans_name of nnU-Net's own.
        plans_identifier: such as nnUNetPlans.
    """
    return "" if plans_identifier == DEFAULT_PLANS else f" {flag} {plans_identifier}"
