"""The files of one case moved into a dataset so that no restart takes half a case, or a stranger's, for its own."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text


def install_case(
    dataset: Path, files: Sequence[str], *, partial: Path, record: Path, content: Mapping[str, Any]
) -> None:
    """Move a whole case into place, instead of what an earlier run made of it, which may lie in other folders.

    Args:
        dataset: folder of the dataset.
        files: of the case, relative to `dataset` and, until they are moved, to `partial`.
        partial: folder on the same file system that holds them.
        record: JSON file that tells what the case consists of; it is announced before and written after the files.
        content: of the record; its "files" are those given.
    """
    remove_case(dataset, record)
    write_text(record, json.dumps({"unfinished": list(files)}) + "\n")
    try:
        for name in files:
            (dataset / name).parent.mkdir(exist_ok=True)
            os.replace(partial / name, dataset / name)
    except BaseException:
        for name in files:  # half a case would stop nnU-Net
            (dataset / name).unlink(missing_ok=True)
        record.unlink(missing_ok=True)
        raise
    write_text(record, json.dumps(dict(content), ensure_ascii=False, indent=1) + "\n")


def remove_case(dataset: Path, record: Path) -> None:
    """Take away the files that an earlier run wrote or was about to write for a case; its record stays."""
    for name in announced_files(record):
        (dataset / name).unlink(missing_ok=True)


def announced_files(record: Path) -> tuple[str, ...]:
    """All files that an earlier run wrote or was about to write for a case, relative to the dataset's folder.

    A record may come with a dataset from anywhere: what leads out of the dataset's folder is none of its files.
    """
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        names = [str(name) for name in content.get("files", content.get("unfinished", ()))]
    except (OSError, ValueError, AttributeError, TypeError):
        return ()
    return tuple(name for name in names if _stays_inside(name))


def _is_damaged(record: Path) -> bool:
    """Whether a record is there and cut short or no JSON."""
    try:
        json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        return True
    except OSError:
        pass
    return False


def _stays_inside(name: str) -> bool:
    path = PurePath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def check_place_is_free(dataset: Path, files: Collection[str], *, record: Path, remedy: str) -> None:
    """Nothing that was not made for this case is ever replaced.

    Raises:
        UserError: naming the first file that is in the way, and the remedy.
    """
    if _is_damaged(record):
        return  # the case was made here, and which files were its own nobody knows any more
    ours = announced_files(record)
    for name in files:
        place = dataset / name
        if name not in ours and (place.is_symlink() or place.exists()):
            raise UserError(f"{name} is in the dataset already and was not made here; {remedy}")
