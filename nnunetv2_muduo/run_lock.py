"""One run at a time in a folder: the system takes the lock back when a run ends, however it ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunetv2_muduo.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextmanager
def only_run(folder: Path) -> Iterator[bool]:
    """Yields whether this is certain to be the only run in the folder, which is made if need be.

    Commands that write into one dataset lock the dataset's own folder, so that they exclude each other.

    Raises:
        UserError: if another run is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as file:
        yield _locked(file.fileno(), folder)


@contextmanager
def take_turns(folder: Path, log: Callable[[str], object]) -> Iterator[None]:
    """Wait, which `log` hears of, until no other run has its turn in the folder; without locks all go at once.

    What there is to do has to be looked at again then: the other run may have done it. The lock lies beside the folder,
    in which nnU-Net may take every file for one of a case.
    """
    with folder.with_name(f".{folder.name}.lock").open("a") as file:
        try:
            _locked(file.fileno(), folder)
        except UserError:
            log(f"Another run is at work in {folder}; waiting until it is done.")
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        yield


def _locked(descriptor: int, folder: Path) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"Another run is at work in {folder}; wait until it is done, or end it.") from error
    except OSError:
        return False  # a file system without locks
    return True
