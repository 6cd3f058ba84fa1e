"""Each change of a folder as an event that can be counted and struck: what Python and the libraries write there."""

import functools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WRITE = "write"  # a file is opened to be written; all other events are named as Python's audit events are
_CHANGES = {"os.rename": 2, "os.remove": 1, "os.mkdir": 1, "os.rmdir": 1, "os.symlink": 2, "os.link": 2}
_NATIVE = "muduo.native_write"  # told by the wrappers around libraries that write without Python
_WRITING = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True)
class Event:
    """A change that is about to happen: its kind and the path that it is about, the new one where a file is renamed."""

    kind: str
    path: str


@dataclass
class Watch:
    """Tells of every event below a folder, in this process, from when it is begun.

    Attributes:
        folder: whose changes count.
        before: is called with each event before it happens, and may raise or end the process.
        events: all so far, the present one included.
    """

    folder: Path
    before: Callable[[Event, "Watch"], None] = lambda event, watch: None
    events: list[Event] = field(default_factory=list)
    size_before: int = 0  # of the file that was opened last, when it was opened

    def begin(self) -> None:
        """From now on to the end of this process: an audit hook stays."""
        _tell_of_native_writers()
        sys.addaudithook(self._hook)

    def last_written(self) -> Path | None:
        """The file that the event before this one opened, which may be half written now; None where it opened none."""
        before = self.events[-2] if len(self.events) > 1 else None
        return Path(before.path) if before is not None and before.kind == WRITE else None

    def _hook(self, name: str, arguments: tuple) -> None:
        event = _event(name, arguments)
        if event is None or not Path(event.path).is_relative_to(self.folder):
            return
        self.events.append(event)
        self.before(event, self)
        if event.kind == WRITE:
            self.size_before = os.stat(event.path).st_size if os.path.exists(event.path) else 0


def cut_last_written(watch: Watch, share: float) -> None:
    """Leave only a share of what went into the file that was opened last, as a kill in the midst of writing does."""
    file = watch.last_written()
    if file is not None and file.is_file():
        written = file.stat().st_size - watch.size_before
        os.truncate(file, watch.size_before + int(share * max(0, written)))


def killing(at: int, *, cut: float | None = None) -> Callable[[Event, Watch], None]:
    """SIGKILL to this process before its event number `at`, counted from 1; `cut`: see `cut_last_written`."""

    def before(event: Event, watch: Watch) -> None:
        if len(watch.events) == at:
            watch.before = lambda event, watch: None  # the cut itself is an event
            if cut is not None:
                cut_last_written(watch, cut)
            os.kill(os.getpid(), signal.SIGKILL)

    return before


def doing(at: int, change: Callable[[], None]) -> Callable[[Event, Watch], None]:
    """Do something to the disk before event number `at`."""

    def before(event: Event, watch: Watch) -> None:
        if len(watch.events) == at:
            watch.before = lambda event, watch: None
            change()

    return before


def _event(name: str, arguments: tuple) -> Event | None:
    if name == "open":
        path, mode, flags = arguments
        writes = bool(flags & _WRITING) if isinstance(flags, int) else bool(set(mode or "") & set("wax+"))
        named = isinstance(path, str | bytes | os.PathLike)  # not a descriptor
        return Event(WRITE, os.path.abspath(os.fsdecode(path))) if writes and named else None
    if name == _NATIVE:
        return Event(WRITE, arguments[0])
    if name in _CHANGES:
        number = _CHANGES[name]
        descriptor = arguments[-1] if isinstance(arguments[-1], int) else -1
        return Event(name, _absolute(os.fsdecode(arguments[number - 1]), descriptor))
    return None


def _absolute(path: str, descriptor: int) -> str:
    """`shutil.rmtree` names files relative to an open folder."""
    if os.path.isabs(path) or descriptor < 0:
        return os.path.abspath(path)
    return os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), path)


def _tell_of_native_writers() -> None:
    """SimpleITK, torch and blosc2 open files by themselves: an event comes before each does."""
    import blosc2
    import SimpleITK
    import torch

    for module, function, argument in (
        (SimpleITK, "WriteImage", 1),
        (torch, "save", 1),
        (blosc2, "asarray", "urlpath"),
        (blosc2, "empty", "urlpath"),
    ):
        original = getattr(module, function)
        if not hasattr(original, "__wrapped__"):
            setattr(module, function, _telling(original, argument))


def _telling(function: Callable, argument: int | str) -> Callable:
    @functools.wraps(function)
    def told(*arguments: Any, **options: Any) -> Any:
        path = options.get(argument) if isinstance(argument, str) else arguments[argument]
        if isinstance(path, str | os.PathLike):
            sys.audit(_NATIVE, os.path.abspath(path))
        return function(*arguments, **options)

    return told
