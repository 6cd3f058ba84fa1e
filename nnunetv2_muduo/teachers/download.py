"""Fetch published teacher weights from the hub."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.catalogue import KNOWN_TEACHERS, ReleasedTeacher, weights_folder

_TRUE = {"1", "ON", "YES", "TRUE"}  # what the hub's own client takes for true


def fetch_weights(name: str, *, folder: Path | None = None, log: Callable[[str], object] = print) -> Path:
    """Download a known teacher's weights, unless they are there already.

    The download goes to a staging folder inside the weights folder, shows its progress and is resumed after an
    interruption; the file gets its name once it is whole.

    Args:
        name: one of `KNOWN_TEACHERS`.
        folder: the weights folder; None: `weights_folder()`.
        log: called with one line of text at a time.

    Returns:
        The file.

    Raises:
        UserError: for an unknown name, a stand-in missing from the installation, or a download that fails or is
            switched off by HF_HUB_OFFLINE; it names the file, where it is published, the folder and the command.
    """
    if name not in KNOWN_TEACHERS:
        raise UserError(f"No teacher is called '{name}'; those that can be fetched are {', '.join(KNOWN_TEACHERS)}.")
    teacher = KNOWN_TEACHERS[name]
    folder = folder or weights_folder()
    target = teacher.path(folder)
    if target.is_file():
        clear_staging(target)
        log(f"{name}: {target} is there already.")
    elif teacher.shipped:
        raise missing_weights(name, folder, "it comes with the package")
    elif os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        raise missing_weights(name, folder, "downloading is switched off (HF_HUB_OFFLINE)")
    else:
        log(f"Downloading {teacher.file} of {teacher.page} to {folder}; an interrupted download is resumed.")
        try:
            _download(teacher, target)
        except Exception as error:  # the hub's client raises whatever its transport does
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise missing_weights(name, folder, f"the download failed ({reason.rstrip('.')})") from error
        log(f"{name}: {target} is complete.")
    return target


def missing_weights(name: str, folder: Path, reason: str) -> UserError:
    """The one sentence about a known teacher's weights that are not there: file, source, command and folder."""
    teacher = KNOWN_TEACHERS[name]
    if teacher.shipped:
        return UserError(f"{teacher.path(folder)} is missing from the installation; install nnunetv2-muduo again.")
    return UserError(
        f"The weights of teacher {name} are missing: {reason}; fetch {teacher.file} of the hub repository "
        f"{teacher.repository} with `muduo weights {name}`, or by hand from {teacher.page}, into the folder {folder}."
    )


def clear_staging(target: Path) -> None:
    """Take away what a run left that was killed when the file was in place already."""
    shutil.rmtree(_staging(target), ignore_errors=True)


def _staging(target: Path) -> Path:
    """A folder: the hub's client keeps there what resuming needs, for as long as it takes."""
    return target.parent / f".downloading-{target.name}"


def _look_for(teacher: ReleasedTeacher) -> None:
    """Ask the hub once whether it has the file: without a network its client tries for half a minute, or six."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import HfHubHTTPError

    with suppress(HfHubHTTPError):  # an answer, if a bad one: the client knows which to try again
        get_hf_file_metadata(hf_hub_url(str(teacher.repository), teacher.file))


def _download(teacher: ReleasedTeacher, target: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import WeakFileLock

    _look_for(teacher)
    staging = _staging(target)
    staging.mkdir(mode=0o700, parents=True, exist_ok=True)
    with WeakFileLock(staging / "lock"):  # of several processes one downloads, the others wait for it
        if not target.is_file():
            whole = hf_hub_download(repo_id=str(teacher.repository), filename=teacher.file, local_dir=staging)
            os.replace(whole, target)
    clear_staging(target)
