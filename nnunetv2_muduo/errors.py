"""What a user meets instead of a traceback: a clear sentence naming the thing and the remedy."""

import errno
from collections.abc import Iterable, Mapping

_MAKE_ROOM = "make room, or allow it"
_REMEDIES = {
    errno.EEXIST: "choose another name, or move away what has this one",
    errno.ENOTDIR: "a file is where a folder is needed: choose another name, or move it away",
    errno.EISDIR: "a folder is where a file is needed: choose another name, or move it away",
    errno.ENOTEMPTY: "choose another name, or move away what is in it",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "check that it is there and called so",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM), _MAKE_ROOM),
}


class UserError(Exception):
    """A mistake of the user's or of their data; the command line prints its message and exits with code 2."""


class UnsupportedError(UserError, NotImplementedError):
    """What this package does not do, asked of it; told as every mistake is, with what to use instead."""


def listed(names: Iterable[object], *, most: int = 5, separator: str = ", ") -> str:
    """The first few names, as a sentence takes them, and how many more there are."""
    texts = [str(name) for name in names]
    more = f"{separator.rstrip(', ')} and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def shortened(text: str, *, most: int = 60) -> str:
    """A text that is no longer than so many letters, cut where it was."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def listed_reasons(reasons: Mapping[str, str]) -> str:
    """The first few names, each with the reason that there is for it, and how many more there are."""
    return listed((f"{name} ({reason})" for name, reason in sorted(reasons.items())), separator="; ")


def is_no_place(error: BaseException) -> bool:
    """Whether the system refuses to write: the disk is full, or must not be written to."""
    return isinstance(error, OSError) and _REMEDIES.get(error.errno or 0) == _MAKE_ROOM


def system_sentence(error: OSError) -> str | None:
    """What to tell a user of what the system says about a file; None where that names none and there is room."""
    is_named = isinstance(error.filename, str | bytes) and error.filename
    if not is_named and not is_no_place(error):
        return None
    name = error.filename.decode(errors="backslashreplace") if isinstance(error.filename, bytes) else error.filename
    remedy = _REMEDIES.get(error.errno or 0, "check the path")
    return f"{name if is_named else 'A file'} cannot be written or read: {error.strerror or error}; {remedy}."
