"""Results of `muduo evaluate`, to stand in a report beside the trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.result_files import METHODS
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.reporting.validation import Scores, scores_of


@dataclass(frozen=True)
class EvaluatedFolder:
    """A folder that `muduo evaluate -o` wrote.

    Attributes:
        folder: that folder.
        methods: name -> what was found.
        num_cases: of the first method.
    """

    folder: Path
    methods: dict[str, Scores]
    num_cases: int


def read_evaluations(folders: Sequence[Path]) -> list[EvaluatedFolder]:
    """Read folders of one method or of several compared.

    Raises:
        UserError: if one of them is no such folder.
    """
    return [_read(folder) for folder in folders]


def _read(folder: Path) -> EvaluatedFolder:
    try:
        return _understood(folder)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
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
    first = _baseline(folder)
    ordered = dict(sorted(methods.items(), key=lambda item: item[0] != first))
    return EvaluatedFolder(folder, ordered, len(next(iter(ordered.values())).cases))


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


def _baseline(folder: Path) -> str | None:
    """The method that the others were compared with."""
    path = folder / "differences.json"
    rows = read_table(path).get("differences", []) if path.is_file() else []
    return rows[0].get("baseline") if rows else None


def _by_label(organs: dict[str, str]) -> dict[str, str]:
    """Sorted by label; regions, which have several, after single ones."""
    return dict(sorted(organs.items(), key=lambda item: (not item[1].isdecimal(), len(item[1]), item[1])))


def _ending(content: dict) -> str:
    """Of the label maps; names of cases may have dots of their own."""
    cases = content.get("metric_per_case") or [{}]
    name = Path(str(cases[0].get("prediction_file", ""))).name
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix
