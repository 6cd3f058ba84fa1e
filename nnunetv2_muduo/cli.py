"""The `muduo` command: each subcommand is a few lines over the package's public functions."""

import argparse
import io
import os
import select
import sys
from collections.abc import Sequence
from typing import TextIO

from nnunetv2_muduo.commands import COMMANDS
from nnunetv2_muduo.errors import UserError, system_sentence
from nnunetv2_muduo.package_versions import installed_version

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
NO_READER = 141  # 128 + SIGPIPE, likewise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        arguments: as typed after `muduo`; None: those of this process.

    Returns:
        The exit code: 0 for success, 1 where a check of `muduo doctor` failed, 2 for a mistake of the user's (one
        sentence on stderr, no traceback) or where the system refuses a file, 130 when interrupted, 141 where nobody
        reads what is printed any more. argparse itself exits with 2 for a wrong command line.
    """
    _print_nowhere_where_streams_are_closed()
    _print_whatever_comes()
    try:
        try:
            return _run(arguments)
        finally:
            _flush()
    except BrokenPipeError:
        if not (pipes := [stream for stream in (sys.stdout, sys.stderr) if _has_lost_its_reader(stream)]):
            raise
        _print_nothing_more(pipes)
        return NO_READER


def _run(arguments: Sequence[str] | None) -> int:
    parsed = _parsed(arguments)
    try:
        return parsed.run(parsed) or 0
    except UserError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if (sentence := system_sentence(error)) is None:
            raise
        print(f"ERROR: {sentence}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; of options that a command does not have its own usage tells, not that of `muduo`."""
    parsed, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        parsed.refuse(f"unrecognized arguments: {' '.join(unknown)}")
    return parsed


def _flush() -> None:
    """Here, where it can be caught that the reader has left; of anything else Python tells at its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError:
        pass


def _has_lost_its_reader(stream: TextIO) -> bool:
    """Whether a stream goes to another program that has ended, as in `muduo weights | head -1`."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):  # AttributeError: no poll on this system
        return False


def _print_nothing_more(pipes: Sequence[TextIO]) -> None:
    """Or Python tries to write at its end what is left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in pipes:
        os.dup2(nowhere, stream.fileno())


def _print_nowhere_where_streams_are_closed() -> None:
    """As a shell's `>&-` and some schedulers leave them: Python has None there, and the next file its number."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (stays open as long as the process lives)


def _print_whatever_comes() -> None:
    """Names in files may hold what the terminal, or no encoding at all, can show; it is shown as an escape then."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def build_parser() -> argparse.ArgumentParser:
    """The command line of `muduo`; building it imports nothing heavy, so that `muduo -h` is quick."""
    parser = argparse.ArgumentParser(
        prog="muduo",
        description="Semi-supervised PET/CT segmentation in nnU-Net: train with -tr nnUNetTrainerMuDuo.",
        epilog="`muduo COMMAND -h` shows each command's options and an example.",
    )
    parser.add_argument("--version", action="version", version=f"muduo {installed_version('nnunetv2-muduo')}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name,
            help=command.summary,
            description=command.description,
            epilog=f"example:\n{command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run, refuse=subparser.error)
    return parser


if __name__ == "__main__":
    sys.exit(main())
