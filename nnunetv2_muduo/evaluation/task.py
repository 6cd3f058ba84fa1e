"""What to evaluate: the organs of a dataset, and which of them are lesions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunetv2_muduo.errors import UserError


@dataclass(frozen=True)
class Task:
    """What a label map means.

    Attributes:
        organs: name -> its labels; several for one of nnU-Net's regions.
        known_labels: all that a prediction may hold, background included.
        lesions: organs with false-positive and false-negative volume.
        ignore_label: where references have it, nothing counts.
        file_ending: of the label maps, with the dot.
        lone_regions: organs of one label that nnU-Net takes for regions: it stands in a list, beside one of several.
    """

    organs: dict[str, tuple[int, ...]]
    known_labels: frozenset[int]
    lesions: frozenset[str] = frozenset()
    ignore_label: int | None = None
    file_ending: str = ".nii.gz"
    lone_regions: frozenset[str] = frozenset()

    @property
    def keys(self) -> dict[str, str]:
        """Organ -> its key in nnU-Net's summary.json: "3" for a label, "(1, 2)" or "(3,)" for a region."""
        return {
            organ: str(labels if len(labels) > 1 or organ in self.lone_regions else labels[0])
            for organ, labels in self.organs.items()
        }


def task_of(
    dataset_json: Mapping[str, Any], *, organs: Sequence[str] | None = None, lesions: Collection[str] = ()
) -> Task:
    """The task of a dataset.

    Args:
        dataset_json: nnU-Net's.
        organs: names of those to evaluate; None: all but background and ignore.
        lesions: names of those to count lesion volumes of.

    Raises:
        UserError: if dataset.json has no labels, or none of that name, or lesions are not among the organs.
    """
    given = dict(dataset_json.get("labels", {}))
    labels = {name: _as_tuple(value) for name, value in given.items()}
    has_regions = any(len(numbers) > 1 for numbers in labels.values())
    ignore = labels.pop("ignore", None)
    foreground = {name: numbers for name, numbers in labels.items() if numbers != (0,)}
    if not foreground:
        raise UserError("The dataset.json has no labels but background; give the one of the dataset.")
    for name in (*(organs or ()), *lesions):
        if name not in foreground:
            raise UserError(f"There is no label '{name}' in dataset.json; there are: {', '.join(foreground)}.")
    chosen = {name: foreground[name] for name in dict.fromkeys(organs or foreground)}
    if left_out := [name for name in lesions if name not in chosen]:
        raise UserError(f"--lesions {' '.join(left_out)} is not among --organs {' '.join(chosen)}; add it there.")
    return Task(
        chosen,
        frozenset({0}.union(*labels.values())),
        frozenset(lesions),
        ignore[0] if ignore else None,
        str(dataset_json.get("file_ending", ".nii.gz")),
        frozenset(
            name
            for name, numbers in chosen.items()
            if has_regions and len(numbers) == 1 and isinstance(given[name], (list, tuple))
        ),
    )


def _as_tuple(value: int | Sequence[int]) -> tuple[int, ...]:
    return (int(value),) if isinstance(value, (int, float)) else tuple(int(number) for number in value)
