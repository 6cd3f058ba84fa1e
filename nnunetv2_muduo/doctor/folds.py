"""Can every fold be trained on? nnU-Net ends in a traceback where one has no case, or there are fewer than five."""

from collections.abc import Collection
from pathlib import Path

from nnunetv2_muduo.doctor.check import Check, fail, ok, warn
from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.nnunet_files import SPLITS, read_splits

_NAME = "folds"


def check_splits_file(preprocessed_folder: Path) -> list[Check]:
    """Whether nnU-Net's split of the dataset can be read; no check where it can, or there is none yet."""
    file = preprocessed_folder / SPLITS
    try:
        if file.is_file():
            read_splits(file)
    except UserError as error:
        return [fail(_NAME, str(error), "correct it, or take it away: folds are made anew")]
    return []


def check_folds(preprocessed_folder: Path, cases: Collection[str]) -> Check:
    """How many folds there are, or will be when a training starts, and how many cases each has.

    Args:
        preprocessed_folder: of the dataset.
        cases: names of the labelled ones that are preprocessed, at least one.

    Raises:
        UserError: see `check_splits_file`.
    """
    from nnunetv2_muduo.cases.folds import folds_of, forgotten_cases, problem_of

    file = preprocessed_folder / SPLITS
    if file.is_file():
        folds = read_splits(file)
    elif len(cases) > 1:
        folds = folds_of([*cases])
    else:
        return fail(_NAME, "a single labelled case, none to hold out", "label another, or train the fold all")
    if not folds:
        return fail(_NAME, f"{file} holds no fold", "take it away: folds are made anew")
    for number, fold in enumerate(folds):
        if problem := problem_of(fold, cases):
            return fail(_NAME, f"fold {number} of {file} {problem[0]}", problem[1])
    if forgotten := forgotten_cases(folds, cases):
        found = f"{len(forgotten)} of {len(cases)} labelled cases are in none, so their labels train nothing"
        remedy = f"add them to {file}, or take it away and train anew: folds are made of all cases then"
        return warn(_NAME, f"{found}: {listed(forgotten)}", remedy)
    train, val = (_span([len(fold[part]) for fold in folds]) for part in ("train", "val"))
    return ok(_NAME, f"{len(folds)}, with {train} case(s) to train and {val} to validate on")


def _span(numbers: list[int]) -> str:
    return str(numbers[0]) if len({*numbers}) == 1 else f"{min(numbers)} to {max(numbers)}"
