"""What a prompt generator was trained on, kept in its checkpoint: one of other cases is not this fold's."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunetv2_muduo.checkpoint_files import NUMPY_NUMBERS, read_checkpoint
from nnunetv2_muduo.errors import UserError, listed

ENTRY = "muduo_trained_on"  # of a checkpoint
_KEYS = ("cases", "pet_channel", "labels")


@dataclass(frozen=True)
class PromptOrigin:
    """What a prompt generator's answers depend on beside the plans.

    Attributes:
        cases: names of the training cases, sorted.
        pet_channel: input channel that it looks at.
        labels: of dataset.json, name -> label.
    """

    cases: tuple[str, ...]
    pet_channel: int
    labels: Mapping[str, Any]

    @classmethod
    def of(cls, cases: Collection[str], *, pet_channel: int, dataset_json: Mapping[str, Any]) -> "PromptOrigin":
        """From the training cases in any order."""
        return cls(tuple(sorted(map(str, cases))), pet_channel, dict(dataset_json["labels"]))

    def as_entry(self) -> dict[str, Any]:
        """For a checkpoint, plain values alone."""
        return {ENTRY: {**asdict(self), "cases": list(self.cases)}}


def stored_origin(checkpoint: Path) -> PromptOrigin | None:
    """What a checkpoint, known to be whole, was trained on; None for one that was made before this was kept.

    Raises:
        UserError: naming the file, where what it says of it is something else.
    """
    entry = read_checkpoint(checkpoint, allowed=NUMPY_NUMBERS).get(ENTRY)
    if entry is None:
        return None
    told: list[Any] = [entry.get(key) if isinstance(entry, Mapping) else None for key in _KEYS]
    cases, channel, labels = told
    is_told = isinstance(cases, list) and all(isinstance(case, str) for case in cases)
    are_labels = isinstance(labels, Mapping) and all(
        isinstance(name, str) and isinstance(label, int | list | tuple) for name, label in labels.items()
    )
    if not (is_told and type(channel) is int and are_labels):
        raise UserError(
            f"The prompt generator {checkpoint} does not tell what it was trained on ({ENTRY} is damaged); move the "
            f"folder {checkpoint.parent} away to have it trained again."
        )
    return PromptOrigin(tuple(cases), channel, labels)


def refuse_other_origin(checkpoint: Path, before: PromptOrigin, now: PromptOrigin) -> None:
    """Refuse a prompt generator that was trained on something else than it would be now.

    Args:
        checkpoint: of the prompt generator, for the message.
        before, now: what it was trained on, and what it would be trained on.

    Raises:
        UserError: naming all that differs.
    """
    differences = _differences(before, now)
    if differences:
        raise UserError(
            f"The prompt generator {checkpoint} was trained {', and '.join(differences)}; move the folder "
            f"{checkpoint.parent} away to have it trained again, or put back {' and '.join(differences.values())}."
        )


def _differences(before: PromptOrigin, now: PromptOrigin) -> dict[str, str]:
    """What differs -> what is to be put back."""
    differences = {}
    if before.cases != now.cases:
        more, fewer = sorted({*before.cases} - {*now.cases}), sorted({*now.cases} - {*before.cases})
        phrases = ([f"also on {listed(more)}"] if more else []) + ([f"without {listed(fewer)}"] if fewer else [])
        differences[f"on other cases than this fold has now ({', '.join(phrases)})"] = "the split"
    if before.pet_channel != now.pet_channel:
        found = f"on input channel {before.pet_channel} where PET is channel {now.pet_channel} now"
        differences[found] = "the channels (channel_names of dataset.json, setting 'pet_channel')"
    if before.labels != now.labels:
        changed = {name for name, _ in _items(before.labels) ^ _items(now.labels)}
        differences[f"on other labels ({listed(sorted(changed))})"] = "the labels of dataset.json"
    return differences


def _items(labels: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Pairs that can be compared, whatever dataset.json has for a label."""
    return {(name, str(label)) for name, label in labels.items()}
