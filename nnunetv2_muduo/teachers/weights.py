"""Find the weights of a teacher and load them: never random weights, never in silence."""

import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import sha256_of
from nnunetv2_muduo.teachers.catalogue import KNOWN_TEACHERS, STAND_IN_FOLDER, ReleasedTeacher, weights_folder
from nnunetv2_muduo.teachers.checkpoint import build_teacher, save_teacher
from nnunetv2_muduo.teachers.download import clear_staging, fetch_weights, missing_weights
from nnunetv2_muduo.teachers.protocol import PromptableTeacher

__all__ = [
    "KNOWN_TEACHERS",
    "ReleasedTeacher",
    "fetch_weights",
    "find_weights",
    "load_teacher",
    "locate_teacher",
    "modality_of",
    "save_teacher",
    "weights_folder",
]


def find_weights(
    name: str, *, folder: Path | None = None, download: bool = False, log: Callable[[str], object] = print
) -> Path:
    """The file that holds a teacher's weights.

    Args:
        name: one of `KNOWN_TEACHERS`, or the name of a file in the weights folder, with or without its ".pth".
        folder: the weights folder; None: `weights_folder()`.
        download: fetch the published weights of a known teacher if they are missing.
        log: called with one line of text at a time while downloading.

    Raises:
        UserError: naming the file, where it is published, the command that fetches it and the folder it goes to; for an
            unknown name, the known ones.
    """
    teacher = KNOWN_TEACHERS.get(name)
    folder = STAND_IN_FOLDER if teacher is not None and teacher.shipped else folder or weights_folder()
    if teacher is None:
        return _own_file(name, folder)
    path = teacher.path(folder)
    if path.is_file():
        if download:
            clear_staging(path)
        return path
    if download:
        return fetch_weights(name, folder=folder, log=log)
    raise missing_weights(name, folder, "there is no such file")


def load_teacher(
    name: str,
    *,
    folder: Path | None = None,
    shown: str | None = None,
    download: bool = True,
    log: Callable[[str], object] = print,
) -> PromptableTeacher:
    """Load a frozen teacher and say which file it came from.

    Args:
        name: one of `KNOWN_TEACHERS`, or the name of a file in the weights folder, with or without its ".pth".
        folder: the weights folder; None: `weights_folder()`.
        shown: "CT" or "PET", what it is going to look at; warned of where its weights say that they are for the other.
        download: fetch the published weights of a known teacher if they are missing.
        log: called with one line of text at a time.

    Returns:
        The teacher on the CPU, in float32, in eval mode, without gradients.

    Raises:
        UserError: if the weights are missing, unreadable, unsafe, or do not fit, naming the file and every tensor.
    """
    path = find_weights(name, folder=folder, download=download, log=log)
    checkpoint = read_checkpoint(path)
    teacher = build_teacher(checkpoint, path).requires_grad_(False).eval()
    millions = sum(parameter.numel() for parameter in teacher.parameters()) / 1e6
    log(
        f"Teacher {name}: {path} (sha256 {sha256_of(path)[:12]}), {type(teacher).__name__} with "
        f"{millions:.1f} M parameters.{_provenance(name, checkpoint.get('info'))}"
    )
    own = _own_modality(name, checkpoint)
    if shown is not None and own not in (None, shown):
        log(f"WARNING: teacher {name} was trained on {own}, but it is shown the {shown}; was another one meant?")
    return cast(PromptableTeacher, teacher)


def locate_teacher(name_or_file: str) -> tuple[str, Path | None]:
    """What a user calls a teacher -> name and folder as `load_teacher` takes them; a file may lie anywhere."""
    file = Path(os.path.expanduser(name_or_file))  # which leaves a ~NAME that is nobody's as it is
    if name_or_file not in KNOWN_TEACHERS and file.is_file():
        return file.name, file.parent
    return name_or_file, None


def modality_of(name: str, *, folder: Path | None = None, given: str | None = None) -> str:
    """ "CT" or "PET": what a teacher was trained on, which decides how its images are prepared.

    Args:
        name, folder: as for `load_teacher`.
        given: what the user says; taken where the weights do not know.

    Raises:
        UserError: if the weights do not say and nobody else does, or if the user says otherwise than they do.
    """
    known = name in KNOWN_TEACHERS
    own = _own_modality(name, {} if known else read_checkpoint(find_weights(name, folder=folder)))
    if own is not None and given is not None and own != given:
        raise UserError(
            f"Teacher {name} was trained on {own}, not on {given}; give it a {own} scan, or use another one."
        )
    if own is None and given is None:
        raise UserError(
            f"The weights {name} do not say what they were trained on; add --modality CT or --modality PET."
        )
    return own or str(given)


def _own_modality(name: str, checkpoint: Mapping[str, Any]) -> str | None:
    """What a teacher was trained on, as far as anybody says."""
    if name in KNOWN_TEACHERS:
        return KNOWN_TEACHERS[name].modality
    info = checkpoint.get("info")
    said = info.get("modality") if isinstance(info, dict) else None
    return next((modality for modality in ("CT", "PET") if modality == said), None)


def _own_file(name: str, folder: Path) -> Path:
    for path in (folder / name, folder / f"{name}.pth"):
        if path.is_file():
            return path
    close = get_close_matches(name, KNOWN_TEACHERS, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise UserError(
        f"No teacher is called '{name}'{hint}: neither one of {', '.join(KNOWN_TEACHERS)} nor a file in {folder}."
    )


def _provenance(name: str, info: object) -> str:
    """What a log must say about weights that are not the published ones."""
    teacher = KNOWN_TEACHERS.get(name)
    if teacher is not None and teacher.shipped:
        return f" This is a stand-in trained on simulated images; it is not {teacher.title}."
    what = info.get("what") if isinstance(info, dict) else None
    return f" It describes itself as: {what}." if isinstance(what, str) and what else ""
