"""Finding cases in a tree of folders: each folder with a CT and a PET is one."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.harmonising.layouts import Layout

_DICOM_MARK = (128, b"DICM")


@dataclass(frozen=True)
class FoundCase:
    """A case on disk.

    Attributes:
        folder: that holds it.
        parts: names of the folders from the searched one to it; the searched folder's own name for itself.
        ct, pet, label: a file each, or a folder with a DICOM series; a label may be missing.
    """

    folder: Path
    parts: tuple[str, ...]
    ct: Path
    pet: Path
    label: Path | None = None

    @property
    def sources(self) -> dict[str, Path]:
        """ "CT", "PET" and, where there is one, "label" -> path."""
        files = {"CT": self.ct, "PET": self.pet}
        return files if self.label is None else files | {"label": self.label}


def find_cases(root: Path, layout: Layout) -> tuple[list[FoundCase], dict[str, str]]:
    """All cases below a folder, at any depth; what lies inside a case's folder is its own and makes no other case.

    Args:
        root: to search; links are followed.
        layout: what the files are called.

    Returns:
        The cases in the order of their names, and relative folder -> reason for folders that look like a case but
        are none, such as a second study inside a case's folder.

    Raises:
        UserError: if the folder is missing.
    """
    if not root.is_dir():
        raise UserError(f"There is no folder {root}.")
    cases: list[FoundCase] = []
    taken: set[Path] = set()
    reasons: dict[Path, str] = {}
    for folder, subfolders in _walk(root):
        ct, pet, label = (_matching(folder, patterns) for patterns in (layout.ct, layout.pet, layout.label))
        reason = _problem(ct, pet, label, layout)
        around = next((above for above in folder.parents if above in taken), None)
        if reason is not None:
            if around is None and (ct or pet):
                reasons[folder] = reason
        elif around is not None:
            reasons[folder] = f"it is inside the folder of the case {around}; give each study a folder of its own"
        else:
            taken.add(folder)
            parts = folder.relative_to(root).parts or (root.resolve().name,)
            cases.append(FoundCase(folder, parts, ct[0], pet[0], label[0] if label else None))
        if around is not None or folder in taken:
            _leave_links_out(folder, subfolders)
    in_vain = {folder for folder in reasons if not any(folder in case.folder.parents for case in cases)}
    return cases, {folder.relative_to(root).as_posix(): reasons[folder] for folder in sorted(in_vain)}


def _leave_links_out(folder: Path, subfolders: list[str]) -> None:
    """Do not follow the links in a case's folder: what they lead to may be a case where it really is."""
    subfolders[:] = [name for name in subfolders if not (folder / name).is_symlink()]


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders and their subfolders, of which those taken out of the list are not visited; no folder twice."""
    seen: set[str] = set()
    for name, subfolders, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(name)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(subfolder for subfolder in subfolders if not subfolder.startswith("."))
        yield Path(name), subfolders


def _matching(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """What the first pattern that matches anything matches: files, and folders that hold DICOM files."""
    for pattern in patterns:
        matching = [path for path in sorted(folder.glob(pattern)) if not path.name.startswith(".") and _is_image(path)]
        if matching:
            return matching
    return []


def _is_image(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(_is_dicom(file) for file in path.iterdir()))


def _is_dicom(file: Path) -> bool:
    offset, mark = _DICOM_MARK
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(offset + len(mark))[offset:] == mark


def _problem(ct: Sequence[Path], pet: Sequence[Path], label: Sequence[Path], layout: Layout) -> str | None:
    for what, found, patterns in (("CT", ct, layout.ct), ("PET", pet, layout.pet), ("label", label, layout.label)):
        if len(found) > 1:
            names = listed(path.name for path in found)
            remedy = "name their folder" if _is_dicom(found[0]) else "narrow the pattern, or give each case a folder"
            return f"{len(found)} files could be its {what} ({names}); {remedy}"
        if not found and what != "label":
            return f"it holds no {what} ({' or '.join(patterns)})"
    if ct[0] == pet[0]:
        remedy = "give each DICOM series a folder of its own" if ct[0].is_dir() else "narrow them"
        return f"{ct[0].name} matches the patterns of both CT and PET; {remedy}"
    return None
