"""A user's mistake ends a training in one sentence, through nnU-Net's own command, too."""

import sys
from collections.abc import Callable
from types import TracebackType

from nnunetv2_muduo.errors import UserError, is_no_place, system_sentence

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


class OneSentence:
    """A `sys.excepthook` that prints the sentence of a `UserError` and of a full or read-only disk, and no traceback.

    The exit code stays that of an exception that nobody catches, 1.

    Args:
        previous: hook that hears of everything else.
    """

    def __init__(self, previous: Hook) -> None:
        self.previous = previous

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sentence = _sentence_of(error)
        if sentence is None:
            self.previous(kind, error, trace)
            return
        print(f"ERROR: {sentence}", file=sys.stderr)


def answer_in_one_sentence() -> None:
    """Have mistakes that nobody catches in this process answered so; called by trainers as they are made."""
    if not isinstance(sys.excepthook, OneSentence):
        sys.excepthook = OneSentence(sys.excepthook)


def _sentence_of(error: BaseException) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    return system_sentence(error) if isinstance(error, OSError) and is_no_place(error) else None
