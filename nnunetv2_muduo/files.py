"""Files are written under a temporary name and renamed, so that nobody ever reads half a file."""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL_PREFIX = ".partial-"  # of files and folders in the making
_BYTES_OF_NAMES = 6  # drawn for each temporary name; file systems leave 255 bytes for all of it
_DAY_IN_SECONDS = 86400.0


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path` to write to; renames it to `path` on success, removes it on failure.

    Its name cannot be guessed: in a folder that others write to, a link of that name would lead what is written astray.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{secrets.token_hex(_BYTES_OF_NAMES)}-{path.name}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file at once."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def clear_away_left_behind(*folders: Path, all_of_them: bool = False) -> None:
    """Remove what was in the making in these folders when a run was killed.

    What is younger than a day may be of a run that is alive and stays, unless it is known that there is none.
    """
    for partial in (entry for folder in folders for entry in folder.glob(f"{PARTIAL_PREFIX}*")):
        if all_of_them or time.time() - partial.stat().st_mtime > _DAY_IN_SECONDS:
            shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_stamp(file: Path) -> list:
    """A file's name, size and time of change (in ns): what tells in no time whether it is still the same."""
    status = file.stat()
    return [file.name, status.st_size, status.st_mtime_ns]


def link_or_copy(source: Path, target: Path, *, copy: bool = False) -> str:
    """Put a link to a file in place or, where that is not wanted or not possible, a copy.

    Returns:
        "linked" (a symbolic link), "hard-linked" where the system or the account knows no symbolic ones, or "copied".
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for how, link in () if copy else (("linked", os.symlink), ("hard-linked", os.link)):
        try:
            link(source.resolve(), target)
            return how
        except OSError:
            pass  # no links on this file system, or (Windows) for this user
    with replacing(target) as partial:
        shutil.copyfile(source, partial)
    return "copied"
