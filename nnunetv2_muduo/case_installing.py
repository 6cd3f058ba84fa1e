"""The files of one case moved into a dataset so that no restart takes half a case, or a stranger's, for its own."""

import errno
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.json_files import parse_json, table_or_nothing
from nnunetv2_muduo.nnunet_files import is_plain_name
from nnunetv2_muduo.worker_pool import run_jobs

Job = TypeVar("Job")
_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True)
class Outcome:
    """What became of a case: notes where it went well, the reason where it did not."""

    case: str
    notes: tuple[str, ...] = ()
    reason: str | None = None


def make_cases(
    make: Callable[[Job], Outcome],
    jobs: Sequence[Job],
    *,
    doing: str,
    num_processes: int,
    log: Callable[[str], object],
) -> list[Outcome]:
    """Make cases side by side, in any order; `log` hears of what is worth telling, `doing` names the progress bar."""
    outcomes = []
    results = run_jobs(make, jobs, num_processes=num_processes)
    for outcome in tqdm(results, total=len(jobs), desc=doing, unit="case", disable=not jobs):
        outcomes.append(outcome)
        for note in outcome.notes:
            log(f"{outcome.case}: {note}")
        if outcome.reason is not None:
            log(f"{outcome.case}: SKIPPED, {outcome.reason}{'' if outcome.reason.endswith('?') else '.'}")
    return outcomes


def outcome_of(case: str, work: Callable[[], tuple[str, ...]], *, dataset: Path) -> Outcome:
    """Do the work on a case, which returns notes; whatever is wrong with the case is its outcome's reason.

    Raises:
        UserError: when there is no place left to write to, which is not the case's fault.
    """
    try:
        return Outcome(case, notes=work())
    except (UserError, OSError, RuntimeError) as error:  # RuntimeError is SimpleITK's
        if isinstance(error, OSError) and error.errno in _NO_PLACE:
            raise UserError(
                f"{dataset} cannot be written to ({error.strerror}); make room and run the command again: what is "
                "finished is kept."
            ) from error
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return Outcome(case, reason=lines[-1].removeprefix("sitk::ERROR: ").strip().rstrip("."))


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

    Raises:
        UserError: where a folder of the dataset is a link that leads out of it; nothing is changed then.
    """
    _refuse_folders_elsewhere(dataset, files)
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
    """Take away the files that an earlier run wrote or was about to write for a case; its record stays.

    Raises:
        UserError: where a folder of the dataset is a link that leads out of it; nothing is changed then.
    """
    names = announced_files(record)
    _refuse_folders_elsewhere(dataset, names)
    for name in names:
        (dataset / name).unlink(missing_ok=True)


def announced_files(record: Path) -> tuple[str, ...]:
    """All files that an earlier run wrote or was about to write for a case, relative to the dataset's folder.

    A record may come with a dataset from anywhere: what leads out of the dataset's folder is none of its files.
    """
    content = table_or_nothing(record)
    names = content.get("files", content.get("unfinished", ()))
    return tuple(name for name in names if _stays_inside(name)) if isinstance(names, list) else ()


def _is_damaged(record: Path) -> bool:
    """Whether a record is there and cut short or no JSON."""
    try:
        parse_json(record.read_text(encoding="utf-8"))
    except ValueError:
        return True
    except OSError:
        pass
    return False


def _stays_inside(name: Any) -> bool:
    """Whether a record names a file in a folder of the dataset, such as imagesTr/a_0000.nii.gz, as ours do."""
    return isinstance(name, str) and name.count("/") == 1 and all(map(is_plain_name, name.split("/")))


def _refuse_folders_elsewhere(dataset: Path, names: Collection[str]) -> None:
    """Nothing is written or deleted beyond the dataset's folder: what lies there may be anybody's."""
    home = dataset.resolve()
    for folder in sorted({(dataset / name).parent for name in names}):
        if not folder.resolve().is_relative_to(home):
            raise UserError(
                f"{folder} is a link that leads out of the dataset, to {folder.resolve()}, where nothing is written or "
                "deleted; make it a folder, or let the whole dataset be a link."
            )


def check_place_is_free(dataset: Path, files: Collection[str], *, record: Path, remedy: str) -> None:
    """Nothing that was not made for this case is ever replaced.

    Raises:
        UserError: naming the first file that is in the way, and the remedy; or a folder of the dataset that is a link
            and leads out of it.
    """
    _refuse_folders_elsewhere(dataset, files)
    if _is_damaged(record):
        return  # the case was made here, and which files were its own nobody knows any more
    ours = announced_files(record)
    for name in files:
        place = dataset / name
        if name not in ours and (place.is_symlink() or place.exists()):
            raise UserError(f"{name} is in the dataset already and was not made here; {remedy}")
