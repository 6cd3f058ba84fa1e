"""The top of a report: each training in a few words."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from nnunetv2_muduo.reporting.panels import over_epochs
from nnunetv2_muduo.reporting.training import Training
from nnunetv2_muduo.reporting.validation import Scores

_FEW = 5  # validation cases: a mean over fewer says little


@dataclass(frozen=True)
class Headline:
    """A training in words.

    Attributes:
        name: of the training.
        status: finished, or how far it came.
        verdict: one line.
        facts: (what, value).
        cautions: what to keep in mind.
    """

    name: str
    status: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    cautions: tuple[str, ...]


def headline(training: Training, first: Training) -> Headline:
    """One training, compared with the first one of the report.

    Args:
        training: to describe.
        first: itself, for the first one.
    """
    started, ended, seconds = _times(training)
    facts = {
        "Trainer": training.trainer,
        "Dataset": training.dataset,
        "Configuration": training.configuration,
        "Plans": training.plans_name,
        "Fold": training.fold,
        "Trained on": _trained_on(training),
        "When": f"{started} to {ended}" if started else "",
        "Length": f"{training.epochs} epochs, {spoken_duration(seconds)}" if seconds else f"{training.epochs} epochs",
        "Device": training.debug.get("gpu_name") or training.debug.get("device", ""),
    }
    return Headline(
        training.name,
        status_of(training),
        _verdict(training, first),
        tuple((what, value) for what, value in facts.items() if value),
        _cautions(training),
    )


def status_of(training: Training) -> str:
    """Finished, or how far it came."""
    if training.finished:
        return "finished"
    planned = f" of {training.planned_epochs}" if training.planned_epochs else ""
    if not training.epochs:
        return f"no epoch{planned} finished yet"
    return f"not finished: {training.epochs}{planned} epochs"


def spoken_duration(seconds: float) -> str:
    """Such as "2 h 05 min", "3 min 20 s" or "4.5 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _times(training: Training) -> tuple[str, str, float]:
    """When it began and ended (local time), and the seconds of all epochs together, without pauses.

    An epoch in which the clock was set back counts for nothing.
    """
    starts, ends = (training.logged.get(f"epoch_{which}_timestamps", []) for which in ("start", "end"))
    if not starts or not ends:
        return "", "", 0.0
    seconds = sum(max(0.0, float(end) - float(start)) for start, end in zip(starts, ends, strict=False))
    try:
        first, last = (datetime.fromtimestamp(float(time)) for time in (starts[0], ends[-1]))
        round(seconds)
    except (ValueError, OverflowError, OSError):  # no time on any calendar
        return "", "", 0.0
    end = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"{first:%Y-%m-%d %H:%M}", end, seconds


def _trained_on(training: Training) -> str:
    said = {"training": "{} cases" if training.is_pretraining else "{} labelled cases", "unlabelled": "{} unlabelled"}
    counted = [said[kind].format(training.cases[kind]) for kind in said if kind in training.cases]
    return " and ".join(counted[:1] if training.is_pretraining else counted)


def _verdict(training: Training, first: Training) -> str:
    parts = []
    if training.validation is not None:
        parts.append(f"Validation: {_dice_in_words(training.validation)}")
        parts[0] += _against_first(training, first)
    elif not training.is_pretraining:
        parts.append("No final validation yet")
    for key, what, pick in (
        ("ema_fg_dice", "best pseudo Dice (moving average)", np.argmax),
        *([("val_losses", "lowest validation loss", np.argmin)] if training.is_pretraining else []),
    ):
        epochs, values = over_epochs(training.logged.get(key, []))
        if len(values):
            parts.append(f"{what} {values[pick(values)]:.3f} after epoch {epochs[pick(values)]}")
    verdict = "; ".join(parts)
    return f"{verdict[:1].upper()}{verdict[1:]}." if verdict else "Nothing is known of how well it went."


def _dice_in_words(scores: Scores) -> str:
    counted, organs = scores.organs_counted, len(scores.means.get("Dice", {}))
    if not counted:
        return f"no organ has a Dice in {_cases(len(scores.cases))}: neither references nor predictions show any"
    of = f"{counted} organ{'s' * (counted != 1)}" if counted == organs else f"{counted} of {organs} organs"
    return f"mean Dice {scores.foreground.get('Dice', np.nan):.3f} over {of} in {_cases(len(scores.cases))}"


def _against_first(training: Training, first: Training) -> str:
    mine, theirs = training.validation, first.validation
    if training is first or mine is None or theirs is None:
        return ""
    if mine.means.get("Dice", {}).keys() != theirs.means.get("Dice", {}).keys():
        return f" (other organs than {first.name}'s: not to be compared)"
    if {case.name for case in mine.cases} != {case.name for case in theirs.cases}:
        return f" (other cases than {first.name}'s: not to be compared)"
    gap = mine.foreground.get("Dice", np.nan) - theirs.foreground.get("Dice", np.nan)
    return f" ({gap:+.3f} against {first.name} on the same cases)" if np.isfinite(gap) else ""


def _cautions(training: Training) -> tuple[str, ...]:
    cautions = []
    if training.validation is not None and len(training.validation.cases) < _FEW:
        cautions.append(f"A validation on {_cases(len(training.validation.cases))} says little about other cases.")
    if training.validation is not None and training.fold == "all":
        cautions.append("Fold all is validated on cases it was trained on: its Dice says nothing about new ones.")
    return tuple(cautions)


def _cases(number: int) -> str:
    return f"{number} case{'s' * (number != 1)}"
