"""Runs a stock command as a user would type it: printed, logged to a file, with a progress bar."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from nnunetv2_muduo.errors import UserError

LINES_SHOWN_ON_FAILURE = 25


def run_command(
    command: Sequence[str],
    *,
    log_file: Path,
    environment: Mapping[str, str],
    steps: int = 0,
) -> None:
    """Run one command to its end.

    Args:
        command: program and arguments; the program is looked up beside this Python first.
        log_file: everything the command prints is appended here.
        environment: variables set on top of the present ones.
        steps: how many epochs the command trains, each told by a line of nnU-Net's; 0 shows no bar.

    Raises:
        UserError: if the command fails; with the end of its output.
    """
    print(f"  $ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).with_name(command[0])
    resolved = [str(program) if program.is_file() else command[0], *command[1:]]
    log_file.parent.mkdir(parents=True, exist_ok=True)
    tail: list[str] = []
    with (
        log_file.open("a", buffering=1, encoding="utf-8") as log,
        subprocess.Popen(
            resolved,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **environment},
        ) as process,
        tqdm(total=steps or None, unit="epoch", disable=not steps, leave=True, desc="    training") as bar,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            tail = [*tail[1 - LINES_SHOWN_ON_FAILURE :], line]
            if "Epoch time" in line:
                bar.update()
            elif "Prompt generator: none trained" in line:
                bar.set_description("    training (prompt generator first)")
    if process.returncode:
        raise UserError(
            f"'{command[0]}' failed with exit code {process.returncode}; the whole output is in {log_file}. "
            f"It ended with:\n{''.join(tail)}"
        )
