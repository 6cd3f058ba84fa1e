"""Results of `muduo evaluate`, to stand in a report beside the trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.result_files import METHODS
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.reporting.tables import PairedDifference
from nnunetv2_muduo.reporting.validation import Scores, scores_of


@dataclass(frozen=True)
class EvaluatedFolder:
    """A folder that `muduo evaluate -o` wrote.

    Attributes:
        folder: that folder.
        methods: name -> what was found.
        num_cases: of the first method.
        missed: what distances of missed and made-up organs count as, "diagonal" or "exclude"; "" where it is not told.
        differences: that differences.json tells of these methods.
    """

    folder: Path
    methods: dict[str, Scores]
    num_cases: int
    missed: str = ""
    differences: tuple[PairedDifference, ...] = ()


def read_evaluations(folders: Sequence[Path]) -> list[EvaluatedFolder]:
    """Read folders of one method or of several compared.

    Raises:
        UserError: if one of them is no such folder.
    """
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> EvaluatedFolder:
    try:
        return _understood(folder)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError, OSError) as error:
        raise UserError(
            f"{folder} holds results that cannot be understood ({type(error).__name__}: {error}); evaluate again."
        ) from error


def _understood(folder: Path) -> EvaluatedFolder:
    files = [path for path in _summaries(folder) if path.is_file()]
    contents = {path: read_table(path) for path in files}
    ours = {path: content for path, content in contents.items() if "organs" in content.get("muduo", {})}
    if not ours:
        raise UserError(
            f"{folder} holds no results of `muduo evaluate`; write them with "
            f"`muduo evaluate REFERENCES PREDICTIONS -o {folder}` and give that folder."
        )
    methods = {
        name: scores_of(content, _by_label(content["muduo"]["organs"]), file_ending=_ending(content))
        for name, content in zip(_names(ours), ours.values(), strict=True)
    }
    told = _differences(folder)
    first = told[0].baseline if told else None
    differences = tuple(row for row in told if {row.method, row.baseline} <= methods.keys())  # not an earlier call's
    ordered = dict(sorted(methods.items(), key=lambda item: item[0] != first))
    missed = str(next(iter(ours.values()))["muduo"].get("missed", ""))
    return EvaluatedFolder(folder, ordered, len(next(iter(ordered.values())).cases), missed, differences)


def _summaries(folder: Path) -> list[Path]:
    """Of the methods of the last call there; of all that are there, where it does not say."""
    told = folder / METHODS
    if not told.is_file():
        return [folder / "summary.json", *sorted(folder.glob("*/summary.json"))]
    return [folder / place / "summary.json" for place in read_table(told)["methods"].values()]


def _names(results: Mapping[Path, Mapping]) -> list[str]:
    """The methods'; where one was evaluated more than once, such as on other cases, with the folder of each."""
    methods = [str(content["muduo"].get("method", path.parent.name)) for path, content in results.items()]
    return [
        method if methods.count(method) == 1 else f"{method} ({path.resolve().parent.name})"
        for path, method in zip(results, methods, strict=True)
    ]


def _differences(folder: Path) -> list[PairedDifference]:
    """All that the folder tells, of whatever methods."""
    path = folder / "differences.json"
    rows = read_table(path).get("differences", []) if path.is_file() else []
    return [
        PairedDifference(
            str(row["method"]),
            str(row["baseline"]),
            str(row["metric"]),
            str(row["organ"]),
            mean=_number(row["mean"]),
            low=_number(row["low"]),
            high=_number(row["high"]),
            cases=int(row["cases"]),
        )
        for row in rows
    ]


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _by_label(organs: dict[str, str]) -> dict[str, str]:
    """Sorted by label; regions, which have several, after single ones."""
    return dict(sorted(organs.items(), key=lambda item: (not item[1].isdecimal(), len(item[1]), item[1])))


def _ending(content: dict) -> str:
    """Of the label maps; names of cases may have dots of their own."""
    cases = content.get("metric_per_case") or [{}]
    name = Path(str(cases[0].get("prediction_file", ""))).name
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix
