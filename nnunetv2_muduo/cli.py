"""The `muduo` command: each subcommand is a few lines over the package's public functions."""

import argparse
import errno
import io
import sys
from collections.abc import Sequence

from nnunetv2_muduo.commands import COMMANDS
from nnunetv2_muduo.errors import UserError

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand.

    Args:
        arguments: as typed after `muduo`; None: those of this process.

    Returns:
        The exit code: 0 for success, 1 where a check of `muduo doctor` failed, 2 for a mistake of the user's (one
        sentence on stderr, no traceback), 130 when interrupted. argparse itself exits with 2 for a wrong command line.
    """
    _print_whatever_comes()
    parsed = build_parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except UserError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _NO_PLACE:
            raise
        where = f"{error.filename} cannot be written or read" if error.filename else "A file cannot be written or read"
        print(f"ERROR: {where}: {error.strerror}; make room, or allow it.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


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
        subparser.set_defaults(run=command.run)
    return parser


if __name__ == "__main__":
    sys.exit(main())
