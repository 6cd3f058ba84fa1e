"""The cases of a fold: that there are some, that they are preprocessed, and folds where nnU-Net would make none."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nnunetv2.utilities.crossval_split import generate_crossval_split

from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.nnunet_files import SPLITS, read_splits

NNUNETS_FOLDS = 5
_FOLD_ALL = "train the fold `all`, which trains and validates on every case"


def folds_of(cases: Sequence[str]) -> list[dict[str, list[str]]]:
    """nnU-Net's five folds; of two to four cases, which do not give five, each holds one out.

    Args:
        cases: names of the labelled ones, at least two.
    """
    folds = generate_crossval_split(sorted(cases), seed=12345, n_splits=min(NNUNETS_FOLDS, len(cases)))
    return [{part: list(map(str, fold[part])) for part in ("train", "val")} for fold in folds]


def prepare_folds(folder: Path, cases: Sequence[str]) -> str:
    """Write splits_final.json where there is none and nnU-Net would fail to make it: for two to four cases.

    Args:
        folder: of the dataset in nnUNet_preprocessed.
        cases: names of the preprocessed labelled ones.

    Returns:
        What to tell; "" where nothing was written.

    Raises:
        UserError: where there is a single case, or the file that is there is no split.
    """
    file = folder / SPLITS
    if file.is_file():
        read_splits(file)
    elif len(cases) < 2:
        raise UserError(f"{folder.name} has a single labelled case, so no fold can hold one out; {_FOLD_ALL}.")
    elif len(cases) < NNUNETS_FOLDS:
        folds = folds_of(cases)
        write_text(file, json.dumps(folds, indent=4) + "\n")
        return f"Wrote {file}: {len(folds)} folds of {len(cases)} labelled cases, each holds one out."
    return ""


def problem_of(fold: Mapping[str, Collection[str]], cases: Collection[str]) -> tuple[str, str] | None:
    """Why nothing can be trained on a fold, beginning with a verb, and what to do; None where nothing is in the way.

    Args:
        fold: names of the cases to "train" and to "val"idate on.
        cases: names of those that are preprocessed.
    """
    if unknown := sorted({*fold["train"], *fold["val"]} - {*cases}):
        return f"names cases that are not preprocessed: {listed(unknown)}", "correct it, or preprocess them"
    for part, purpose in (("train", "train"), ("val", "validate")):
        if not fold[part]:
            return f"has no case to {purpose} on, which nnU-Net needs", f"add some, or {_FOLD_ALL}"
    return None


def forgotten_cases(folds: Sequence[Mapping[str, Collection[str]]], cases: Collection[str]) -> list[str]:
    """Names of those that a cross-validation knows nothing of, sorted: labelled since it was drawn, they train nothing.

    Other splits, as of `muduo split`, are meant to leave cases out: none is forgotten.

    Args:
        folds: names of the cases to "train" and to "val"idate on, of each.
        cases: names of the labelled ones that are preprocessed.
    """
    validated = {case for fold in folds for case in fold["val"]}
    is_crossvalidation = all({*fold["train"], *fold["val"]} == validated for fold in folds)
    return sorted({*cases} - validated) if is_crossvalidation else []
