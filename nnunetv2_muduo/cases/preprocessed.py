"""Preprocessed cases as files: which there are, whether they are whole, how they are put in place and taken away."""

import os
import pickle
from collections.abc import Iterable
from pathlib import Path

from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.stored_arrays import is_whole_array

_STORED_AS = (".b2nd", ".npz")


def preprocessed_cases(folder: Path) -> list[str]:
    """Names of the cases that nnU-Net preprocessed into a folder, sorted; none where there is no such folder."""
    if not (folder.is_dir() and any(file.suffix in _STORED_AS for file in folder.iterdir())):
        return []
    return sorted(map(str, infer_dataset_class(str(folder)).get_identifiers(str(folder))))


def refuse_unpreprocessed(folder: Path) -> None:
    """Raise UserError where nnU-Net would fail to tell how the cases of an empty folder are stored."""
    if not preprocessed_cases(folder):
        raise UserError(
            f"{folder} holds no preprocessed case; run {_command(folder)} with this training's -c and -plans_name."
        )


def refuse_cut_short(folder: Path, cases: Iterable[str]) -> None:
    """Raise UserError, naming the file, where nnU-Net's preprocessed case lacks one or has one that is cut short."""
    for file in (file for case in cases for file in case_files(folder, case)):
        if not is_whole(file):
            raise UserError(
                f"{file} is {'cut short' if file.exists() else 'missing'}; make the preprocessed cases again with "
                f"{_command(folder)} and this training's -c and -plans_name."
            )


def _command(folder: Path) -> str:
    return f"`nnUNetv2_preprocess -d {int(folder.parent.name[7:10])}`"


def is_whole(file: Path) -> bool:
    """Whether a file of a preprocessed case is there and not cut short; what it holds is not looked at."""
    if file.suffix == ".b2nd":
        return is_whole_array(file)
    try:
        with file.open("rb") as stream:
            stream.seek(-1, os.SEEK_END)
            return stream.read() == pickle.STOP
    except OSError:
        return False


def case_files(folder: Path, case: str) -> tuple[Path, Path, Path]:
    """The files of a preprocessed case, in the order they are put in place; nnU-Net lists cases by the last."""
    return folder / f"{case}_seg.b2nd", properties_file(folder, case), folder / f"{case}.b2nd"


def properties_file(folder: Path, case: str) -> Path:
    """Where nnU-Net keeps a preprocessed case's properties."""
    return folder / f"{case}.pkl"


def install_case(source: Path, destination: Path, case: str) -> None:
    """Move a whole case between folders of one file system so that no moment shows half of it as a case.

    The image goes first when the old case is taken away and comes last with the new one.
    """
    (destination / f"{case}.b2nd").unlink(missing_ok=True)
    for made, wanted in zip(case_files(source, case), case_files(destination, case), strict=True):
        made.replace(wanted)


def remove_case(folder: Path, case: str) -> None:
    """Take a case away, the image first."""
    for file in reversed(case_files(folder, case)):
        file.unlink(missing_ok=True)
