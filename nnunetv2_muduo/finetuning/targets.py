"""What a teacher is asked for: the labels of one or several datasets, by name."""

from collections.abc import Mapping, Sequence

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import single_label
from nnunetv2_muduo.teachers.crops import IGNORED

_NOT_TARGETS = ("background", "ignore")


def common_targets(datasets: Mapping[str, Mapping], only: Sequence[str] | None = None) -> tuple[str, ...]:
    """Names of the targets: every label of any dataset but background and ignore, or those asked for.

    Labels of the same name in several datasets are one target.

    Args:
        datasets: name -> dataset.json.
        only: the names wanted; None: all.

    Raises:
        UserError: for regions, for a wanted label no dataset has, for no or too many labels.
    """
    names: list[str] = []
    for dataset, content in datasets.items():
        for name, value in content["labels"].items():
            if single_label(value) is None:
                raise UserError(
                    f"{dataset} has regions ('{name}' unites labels {', '.join(map(str, value))}); a teacher is asked "
                    "for one label at a time, so give every label of its dataset.json one integer."
                )
            if name not in _NOT_TARGETS and name not in names:
                names.append(name)
    unknown = [name for name in only or () if name not in names]
    if unknown:
        raise UserError(
            f"No dataset has the label {', '.join(repr(name) for name in unknown)}; there are: {', '.join(names)}."
        )
    wanted = tuple(name for name in names if only is None or name in only)
    if not wanted:
        raise UserError(f"There is no label to learn in {', '.join(datasets)}: dataset.json names none.")
    if len(wanted) >= IGNORED:
        raise UserError(f"{len(wanted)} labels are too many, {IGNORED - 1} at most; choose some with --labels.")
    return wanted


def target_values(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """What stands for each target in stored label maps: name -> (value,), counting from 1."""
    return {name: (number,) for number, name in enumerate(names, start=1)}


def stored_values(dataset_json: Mapping, names: Sequence[str]) -> dict[int, int]:
    """The stored value of each label of a dataset: its target's, `IGNORED` for the ignore label, 0 for all else."""
    numbers = {name: number for number, name in enumerate(names, start=1)}
    values = {name: single_label(value) for name, value in dataset_json["labels"].items()}
    return {
        value: IGNORED if name == "ignore" else numbers.get(name, 0)
        for name, value in values.items()
        if value is not None
    }
