"""Where a trained teacher is written, and what must not be written over."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import is_plain_name
from nnunetv2_muduo.teachers.weights import KNOWN_TEACHERS, save_teacher, weights_folder


def teacher_path(name: str, *, folder: Path | None = None) -> Path:
    """The file of a teacher of one's own in the weights folder.

    Raises:
        UserError: if the name is a known teacher's, or no file name.
    """
    stem = name.removesuffix(".pth")
    taken = KNOWN_TEACHERS.keys() | {known.file.removesuffix(".pth") for known in KNOWN_TEACHERS.values()}
    if stem in taken:
        raise UserError(f"'{stem}' is the name of a published teacher or a stand-in; give another one with --name.")
    if not is_plain_name(stem) or stem.startswith("."):
        raise UserError(f"'{name}' cannot be the name of a file; give another one with --name.")
    return (folder or weights_folder()) / f"{stem}.pth"


def check_may_write(name: str, *, run: str, overwrite: bool, folder: Path | None = None) -> None:
    """Refuse to replace what another training made.

    Raises:
        UserError: if the file is there and is not of this `run`, unless `overwrite`.
    """
    path = teacher_path(name, folder=folder)
    if overwrite or not path.exists():
        return
    info = read_checkpoint(path).get("info")
    if not isinstance(info, Mapping) or info.get("run") != run:
        raise UserError(
            f"{path} is there already and was not made by this training; give another --name, or --overwrite to "
            "replace it."
        )


def write_teacher_files(
    network: nn.Module,
    output: Path,
    name: str,
    *,
    info: Mapping[str, Any],
    overwrite: bool,
    folder: Path | None = None,
) -> Path:
    """Write `teacher.pth` into the training's folder and NAME.pth into the weights folder; returns the latter."""
    check_may_write(name, run=info["run"], overwrite=overwrite, folder=folder)
    path = teacher_path(name, folder=folder)
    for file in (output / "teacher.pth", path):
        save_teacher(network, file, extra=dict(info))
    return path
