import sys
from pathlib import Path

import pytest

from nnunetv2_muduo.demo.commands import run_command
from nnunetv2_muduo.errors import UserError


def python(code: str) -> list[str]:
    return [Path(sys.executable).name, "-c", code]


def test_command_is_printed_as_one_would_type_it_and_logged_whole(tmp_path: Path, capsys):
    log = tmp_path / "logs" / "a.txt"
    run_command(python("print('hello there')"), log_file=log, environment={})
    assert log.read_text() == "hello there\n"
    assert f"$ {Path(sys.executable).name} -c 'print(" in capsys.readouterr().out


def test_environment_reaches_the_command(tmp_path: Path):
    log = tmp_path / "a.txt"
    run_command(
        python("import os; print(os.environ['nnUNet_raw'])"), log_file=log, environment={"nnUNet_raw": "/some where"}
    )
    assert log.read_text() == "/some where\n"


def test_failure_names_the_log_and_shows_the_end_of_the_output(tmp_path: Path):
    code = "print('\\n'.join(f'line {i}' for i in range(100))); raise SystemExit(3)"
    with pytest.raises(UserError, match=r"exit code 3; the whole output is in .*a\.txt") as caught:
        run_command(python(code), log_file=tmp_path / "a.txt", environment={})
    assert "line 99" in str(caught.value)
    assert "line 50" not in str(caught.value)


def test_progress_counts_epochs(tmp_path: Path, capsys):
    run_command(
        python("print('Epoch time: 1 s'); print('noise'); print('Epoch time: 1 s')"),
        log_file=tmp_path / "a.txt",
        environment={},
        steps=2,
    )
    assert "2/2" in capsys.readouterr().err
