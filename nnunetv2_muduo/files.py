"""Files are written in a folder of their own and moved out, so that nobody ever reads half a file."""

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnunetv2_muduo.errors import is_no_place

PARTIAL_PREFIX = ".partial-"  # of folders that hold what is in the making
_DAY_IN_SECONDS = 86400.0
_PROBE_IN_BYTES = 1 << 20


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path in a private folder beside `path` to write to; moves the file to `path` on success.

    Raises:
        OSError: where there is no room or it must not be written, whatever the library that writes raises.
    """
    # asked for inside, too: as long as what was half written lies there, a full disk is still full
    with systems_reason(path), private_folder(path.parent) as folder, systems_reason(path):
        yield folder / path.name
        os.replace(folder / path.name, path)


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, which is made, for what is in the making; removed in the end with all that it holds.

    It is open to this account alone, and its name cannot be guessed: where others write too, they can neither read what
    is not finished nor lay a link that leads it astray. What is moved out of it has the usual permissions.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{PARTIAL_PREFIX}{os.getpid()}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # what cannot be removed must not hide why it was not written


@contextmanager
def systems_reason(path: Path) -> Iterator[None]:
    """Raises OSError naming `path` for the RuntimeError of a library that cannot write there, where that is the reason.

    torch, blosc2 and SimpleITK raise RuntimeError, whatever is wrong, and do not say that a disk is full. An OSError
    about what is in the making names `path` instead, which is what people know.
    """
    try:
        yield
    except OSError as error:
        if PARTIAL_PREFIX in str(error.filename) or (error.filename is None and is_no_place(error)):
            error.filename = str(path)
        raise
    except RuntimeError as error:
        if refusal := _refusal_to_write(path.parent):
            raise OSError(refusal.errno, refusal.strerror, str(path)) from error
        raise


def _refusal_to_write(folder: Path) -> OSError | None:
    """What the system says to a file of ordinary size in a folder."""
    try:
        with tempfile.TemporaryFile(prefix=PARTIAL_PREFIX, dir=folder) as file:
            file.write(bytes(_PROBE_IN_BYTES))
    except OSError as error:
        return error
    return None


def check_can_write(path: Path) -> None:
    """Learn before long work, not after it, whether a file can be written; nothing is left of the trial, ever.

    Args:
        path: of the file; the folders above it need not exist.

    Raises:
        OSError: naming what is in the way.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    above = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(above))
    for name in path.absolute().relative_to(above).parts:
        with suppress(FileNotFoundError):
            os.lstat(above / name)  # which says so of a name that is too long
    if refusal := _refusal_to_write(above):
        raise OSError(refusal.errno, refusal.strerror, str(path))


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` at which to make a folder, which comes to `path` on success; see `replacing`.

    The folder that was there is set aside for that moment; if a kill comes just then, `take_back` puts it in place.
    """
    with systems_reason(path), private_folder(path.parent) as private, systems_reason(path):
        yield private / path.name
        aside = _aside(path)
        if path.exists():
            path.rename(aside)
        try:
            (private / path.name).rename(path)
        finally:
            take_back(path)


def take_back(path: Path) -> None:
    """Put in place what `replacing_folder` had set aside, or clear it away where the new folder is there."""
    aside = _aside(path)
    if not aside.is_dir():
        return
    if path.exists() and aside.is_symlink():
        aside.unlink()
    elif path.exists():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        aside.rename(path)


def _aside(path: Path) -> Path:
    return path.with_name(f".earlier-{path.name}")


def write_text(path: Path, text: str) -> None:
    """Write a whole text file at once."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def clear_away_left_behind(*folders: Path, all_of_them: bool = False) -> None:
    """Remove what was in the making in these folders when a run was killed.

    What is younger than a day may be of a run that is alive and stays, unless it is known that there is none.
    """
    for partial in (entry for folder in folders for entry in folder.glob(f"{PARTIAL_PREFIX}*")):
        if all_of_them or _is_old(partial):
            shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)


def clear_away_left_behind_of(*files: Path) -> None:
    """As `clear_away_left_behind`, for single files in folders that may hold anything: what is theirs alone.

    That is a private folder with nothing in it but a file of the name.
    """
    for file in files:
        for partial in file.parent.glob(f"{PARTIAL_PREFIX}*"):
            if _holds_at_most(partial, file.name) and _is_old(partial):
                shutil.rmtree(partial, ignore_errors=True)


def _holds_at_most(folder: Path, name: str) -> bool:
    try:
        return {entry.name for entry in folder.iterdir()} <= {name}
    except OSError:  # no folder, somebody else's, or gone just now
        return False


def _is_old(partial: Path) -> bool:
    return time.time() - partial.lstat().st_mtime > _DAY_IN_SECONDS


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
    if not copy and (how := _linked(source, target)) is not None:
        return how
    with replacing(target) as partial:
        shutil.copyfile(source, partial)
    return "copied"


def can_link(source: Path, folder: Path) -> bool:
    """Whether `link_or_copy` would put links to a file in an existing folder; tried with one that is taken away."""
    with private_folder(folder) as private:
        return _linked(source, private / "link") is not None


def _linked(source: Path, target: Path) -> str | None:
    """Link a file; how, see `link_or_copy`, or None where no links are possible."""
    for how, link in (("linked", os.symlink), ("hard-linked", os.link)):
        try:
            link(source.resolve(), target)
            return how
        except OSError:
            pass  # no links on this file system, or (Windows) for this user
    return None
