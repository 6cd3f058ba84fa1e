"""What nnU-Net's training_log_*.txt tell: curves for want of a checkpoint, and what no checkpoint holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nnunetv2_muduo.evaluation.means import mean_of

_STAMPED = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?): ?(.*)$")
_EPOCH = re.compile(r"^Epoch (\d{1,9})$")
_VALUES = {
    "lrs": re.compile(r"^Current learning rate: (\S+)"),
    "train_losses": re.compile(r"^train_loss (\S+)"),
    "val_losses": re.compile(r"^val_loss (\S+)"),
}
_SECONDS = re.compile(r"^Epoch time: (\d{1,9}(?:\.\d+)?) s")
_DICE = re.compile(r"^Pseudo dice \[(.*)\]")
_NUMBER = re.compile(r"nan|-?\d+\.?\d*(?:e-?\d+)?(?![\d(])")
_SPLIT = re.compile(r"^This split has (\d{1,9}) training and (\d{1,9}) validation cases")
_UNLABELLED = re.compile(r"^Unlabelled scans: (\d{1,9}) ready")
_PRETRAINING = re.compile(r"^Pretraining on (\d{1,9}) cases, validation loss on (\d{1,9})")
_MOVING = 0.9  # nnU-Net's moving average of the Dice keeps so much of what it was


@dataclass(frozen=True)
class LogText:
    """What the log files of a fold say.

    Attributes:
        logged: nnU-Net's own keys, one value for each finished epoch, as its checkpoints have them; rounded as printed.
        done: whether the last training came to its end.
        cases: "training", "validation" and "unlabelled" -> how many, as far as it is said.
    """

    logged: dict[str, list]
    done: bool
    cases: dict[str, int]


def read_log_texts(texts: Iterable[str]) -> LogText:
    """Read log files in the order they were written; one that continues replaces the epochs it repeats."""
    epochs: dict[int, dict[str, Any]] = {}
    cases: dict[str, int] = {}
    current, done = -1, False
    for stamp, message in _messages(texts):
        if found := _EPOCH.match(message):
            current, done = int(found[1]), False
            epochs = {number: values for number, values in epochs.items() if number < current}
            epochs[current] = {"epoch_start_timestamps": stamp}
        elif message.startswith("Training done"):
            done = True
        elif not _count_cases(message, cases) and current in epochs:
            _read_value(message, epochs[current])
    finished = [epochs[number] for number in sorted(epochs) if "epoch_end_timestamps" in epochs[number]]
    return LogText(_as_logged(finished), done, cases)


def _messages(texts: Iterable[str]) -> Iterable[tuple[float, str]]:
    for text in texts:
        for line in text.splitlines():
            if (stamped := _STAMPED.match(line)) and (seconds := _timestamp(stamped[1])) is not None:
                yield seconds, stamped[2].strip()


def _timestamp(moment: str) -> float | None:
    """Seconds since 1970; None for a moment that no clock shows, such as a damaged file may hold."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except (ValueError, OverflowError):
        return None


def _count_cases(message: str, cases: dict[str, int]) -> bool:
    if split := (_SPLIT.match(message) or _PRETRAINING.match(message)):
        cases |= {"training": int(split[1]), "validation": int(split[2])}
    elif unlabelled := _UNLABELLED.match(message):
        cases["unlabelled"] = int(unlabelled[1])
    else:
        return False
    return True


def _read_value(message: str, values: dict[str, Any]) -> None:
    for key, pattern in _VALUES.items():
        if found := pattern.match(message):
            values[key] = _number(found[1])
    if found := _SECONDS.match(message):
        values["epoch_end_timestamps"] = values["epoch_start_timestamps"] + float(found[1])
    if found := _DICE.match(message):
        values["dice_per_class_or_region"] = [float(number) for number in _NUMBER.findall(found[1])]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _as_logged(epochs: list[dict[str, Any]]) -> dict[str, list]:
    keys = dict.fromkeys(key for values in epochs for key in values)
    logged = {key: [values.get(key, float("nan")) for values in epochs] for key in keys}
    if "dice_per_class_or_region" in logged:
        means = [float(mean_of(dice)) for dice in logged["dice_per_class_or_region"]]
        moving: list[float] = []
        for mean in means:
            moving.append(moving[-1] * _MOVING + mean * (1 - _MOVING) if moving else mean)
        logged |= {"mean_fg_dice": means, "ema_fg_dice": moving}
    return logged
