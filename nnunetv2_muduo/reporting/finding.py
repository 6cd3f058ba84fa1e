"""Folders of folds, from paths or as nnU-Net's commands name trainings, each with a short name of its own."""

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder
from nnunetv2_muduo.reporting.training import is_fold

MOST = 6  # so many colours are told apart
_PREFIX = "nnUNetTrainer"


def folders_of_names(
    dataset: str, *, trainers: Sequence[str], folds: Sequence[str], plans_name: str, configuration: str
) -> list[Path]:
    """The folders in nnUNet_results of some trainers and folds.

    Raises:
        UserError: naming what is trained, if one of them is not.
    """
    results = nnunet_folder("nnUNet_results") / find_dataset(dataset)
    folders = [results / f"{t}__{plans_name}__{configuration}" / f"fold_{fold}" for t in trainers for fold in folds]
    for folder in folders:
        if not (folder.is_dir() and is_fold(folder)):
            present = ", ".join(sorted(f"{p.parent.name}/{p.name}" for p in results.glob("*__*__*/fold_*"))) or "none"
            raise UserError(f"There is no training in {folder}; trained for this dataset: {present}.")
    return folders


def named_folds(arguments: Sequence[str | Path]) -> dict[str, Path]:
    """Name -> folder of a fold, in the given order.

    Args:
        arguments: FOLDER or NAME=FOLDER, of a fold or of a model with folds in it. Without a name the trainer's class,
            and whatever else differs between them, is the name.

    Raises:
        UserError: if there is no such folder, if two have one name, or if there are more than can be told apart.
    """
    given: list[tuple[str, Path]] = []
    for argument in map(str, arguments):
        name, equals, path = argument.partition("=")
        named = bool(equals) and not Path(argument).is_dir()
        folds = _folds_in(Path(path if named else argument))
        given += [(f"{name}, {fold.name}" if len(folds) > 1 else name, fold) if named else ("", fold) for fold in folds]
    if len({fold.resolve() for _, fold in given}) < len(given):
        raise UserError("A training is given twice; give each folder once.")
    if len(given) > MOST:
        raise UserError(f"{len(given)} trainings side by side cannot be told apart by colour; give at most {MOST}.")
    short = _short_names([fold for name, fold in given if not name])
    named_so = [name or short.pop(0) for name, _ in given]
    if len(set(named_so)) < len(named_so):
        raise UserError(f"Two trainings have one name ({', '.join(named_so)}); name each as NAME=FOLDER.")
    return dict(zip(named_so, (fold for _, fold in given), strict=True))


def _folds_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    if is_fold(folder):
        return [folder]
    return [fold for fold in sorted(folder.glob("fold_*")) if is_fold(fold)] or [folder]


def _short_names(folds: Sequence[Path]) -> list[str]:
    """The trainer, and those of dataset, plans, configuration and fold that are not the same everywhere."""
    parts = [_parts(fold) for fold in folds]
    differing = [i for i in range(1, 5) if len({part[i] for part in parts}) > 1]
    return [", ".join([part[0], *(part[i] for i in differing if part[i])]) for part in parts]


def _parts(fold: Path) -> tuple[str, str, str, str, str]:
    """(trainer, dataset, plans, configuration, fold), the folder's name alone where it is not nnU-Net's."""
    fold = fold.resolve()
    names = fold.parent.name.split("__")
    if len(names) != 3:
        return fold.name, fold.parent.name, "", "", ""
    trainer, plans, configuration = names
    return trainer.removeprefix(_PREFIX) or trainer, fold.parent.parent.name, plans, configuration, fold.name
