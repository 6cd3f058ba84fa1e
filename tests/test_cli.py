"""The `muduo` command: help for all, mistakes in one sentence, nothing heavy before it is needed."""

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnunetv2_muduo import cli
from nnunetv2_muduo.commands import COMMANDS
from nnunetv2_muduo.commands.command import Command
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.package_versions import installed_version

NAMES = [command.name for command in COMMANDS]


@pytest.fixture
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in FOLDER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def command_that(run) -> Command:
    return Command("try", "", "", "", add_arguments=lambda parser: None, run=run)


def raising(error: BaseException):
    def run(arguments):
        raise error

    return run


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_an_example_of_the_command(name: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        cli.main([name, "-h"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert f"muduo {name}" in shown.split("example:")[1]
    assert "%%" not in shown


def test_an_option_that_a_command_does_not_have_is_told_with_its_own_usage(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["split", "-d", "221", "--labelled", "5", "--validation", "1", "--unlabeled"])
    assert stopped.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: muduo split ")
    assert told.rstrip().endswith("unrecognized arguments: --unlabeled")


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_example_is_a_command_line_the_parser_accepts(command: Command):
    for line in command.example.splitlines():
        words = line.replace('"$(', " ").replace(')"', " ").split()
        arguments = words[words.index("muduo") + 1 :]
        assert cli.build_parser().parse_args(arguments).run is command.run


def test_help_lists_every_command(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        cli.main(["-h"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in NAMES)


def test_demo_takes_its_folder_as_the_other_commands_do():
    assert cli.build_parser().parse_args(["demo", "-o", "there"]).out == Path("there")


def test_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"muduo {installed_version('nnunetv2-muduo')}\n"


def test_command_line_is_built_without_importing_anything_heavy():
    code = (
        "import sys; from nnunetv2_muduo.cli import build_parser; build_parser()\n"
        "print(*({'torch', 'nnunetv2', 'SimpleITK', 'numpy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_users_mistake_is_one_sentence_and_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(cli, "COMMANDS", (command_that(raising(UserError("The thing is missing; fetch it."))),))
    assert cli.main(["try"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "ERROR: The thing is missing; fetch it.\n"
    assert printed.out == ""


def test_full_disk_is_one_sentence_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    full = OSError(errno.ENOSPC, "No space left on device", "/data/a.nii.gz")
    monkeypatch.setattr(cli, "COMMANDS", (command_that(raising(full)),))
    assert cli.main(["try"]) == 2
    assert capsys.readouterr().err.startswith("ERROR: /data/a.nii.gz cannot be written or read: No space left on")
    monkeypatch.setattr(cli, "COMMANDS", (command_that(raising(FileNotFoundError(errno.ENOENT, "bug"))),))
    with pytest.raises(FileNotFoundError):
        cli.main(["try"])


def test_whatever_the_system_says_of_a_file_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    (tmp_path / "file").touch()
    for path, told in (
        (tmp_path / "file" / "below", "file is where a folder is needed"),
        (tmp_path, "folder is where a file is needed"),
        (tmp_path / ("n" * 300), "choose a shorter name"),
        (tmp_path / "missing" / "below", "check that it is there"),
    ):
        monkeypatch.setattr(cli, "COMMANDS", (command_that(lambda arguments, path=path: path.write_text("")),))
        assert cli.main(["try"]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"ERROR: {path} cannot be written or read: ")
        assert told in error


@pytest.mark.parametrize(
    "words",
    [["export", "-d", "221", "-o"], ["clicks", "-d", "221", "--teacher", "standin_ct", "-o"], ["demo", "--out"]],
    ids=lambda words: words[0],
)
def test_a_file_where_a_folder_is_to_be_is_one_sentence(
    words: list[str], nnunet_folders: Path, capsys: pytest.CaptureFixture
):
    (nnunet_folders / "file").touch()
    (nnunet_folders / "nnUNet_raw" / "Dataset221_Tiny").mkdir()
    trained = nnunet_folders / "nnUNet_results" / "Dataset221_Tiny" / "nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres"
    (trained / "fold_0").mkdir(parents=True)
    (trained / "fold_0" / "checkpoint_final.pth").touch()
    assert cli.main([*words, str(nnunet_folders / "file")]) == 2
    assert f"ERROR: {nnunet_folders / 'file'}" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="pipes as shells on POSIX have them")
@pytest.mark.parametrize("arguments", ["weights", "-h"])
def test_a_reader_that_has_left_is_no_error(arguments: str):
    code = f"import sys; from nnunetv2_muduo.cli import main; sys.exit(main(['{arguments}']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode in (cli.NO_READER, 0)  # argparse itself does not mind


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize(("arguments", "code"), [("trainers", 0), ("plan -d 999", 2)])
def test_streams_that_are_closed_are_no_error(arguments: str, code: int):
    run = f"import sys; from nnunetv2_muduo.cli import main; sys.exit(main({arguments.split()}))"
    done = subprocess.run(["sh", "-c", 'exec "$@" >&- 2>&-', "sh", sys.executable, "-c", run], check=False)
    assert done.returncode == code


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_behind_the_output_is_no_traceback():
    code = "import sys; from nnunetv2_muduo.cli import main; sys.exit(main(['trainers']))"
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_pipe_that_is_not_the_terminals_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli, "COMMANDS", (command_that(raising(BrokenPipeError(errno.EPIPE, "bug"))),))
    read, write = os.pipe()  # with a reader that is still there
    with os.fdopen(read), os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(BrokenPipeError):
            cli.main(["try"])


def test_interruption_has_the_exit_code_of_shells(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli, "COMMANDS", (command_that(raising(KeyboardInterrupt())),))
    assert cli.main(["try"]) == 130


def test_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli, "COMMANDS", (command_that(raising(ZeroDivisionError())),))
    with pytest.raises(ZeroDivisionError):
        cli.main(["try"])


def test_no_command_is_answered_with_exit_code_2():
    with pytest.raises(SystemExit) as stopped:
        cli.main([])
    assert stopped.value.code == 2


def test_trainers_prints_one_folder_with_our_trainers_and_nothing_else(capsys: pytest.CaptureFixture):
    assert cli.main(["trainers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert (Path(lines[0]) / "nnUNetTrainerMuDuo.py").is_file()


def test_missing_variables_are_named(no_variables: None, capsys: pytest.CaptureFixture):
    assert cli.main(["preprocess-unlabelled", "-d", "221"]) == 2
    assert "nnUNet_raw is not set" in capsys.readouterr().err


def test_single_missing_variable_is_named(
    nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    (nnunet_folders / "nnUNet_raw" / "Dataset221_Tiny").mkdir()
    monkeypatch.delenv("nnUNet_preprocessed")
    assert cli.main(["preprocess-unlabelled", "-d", "221"]) == 2
    assert "nnUNet_preprocessed is not set" in capsys.readouterr().err


def test_unknown_dataset_is_answered_with_those_there_are(nnunet_folders: Path, capsys: pytest.CaptureFixture):
    (nnunet_folders / "nnUNet_raw" / "Dataset221_Tiny").mkdir()
    assert cli.main(["preprocess-unlabelled", "-d", "222"]) == 2
    assert "no dataset '222'" in (error := capsys.readouterr().err)
    assert "Dataset221_Tiny" in error


def test_missing_plans_are_answered_with_the_command_that_makes_them(
    nnunet_folders: Path, capsys: pytest.CaptureFixture
):
    (nnunet_folders / "nnUNet_raw" / "Dataset221_Tiny").mkdir()
    assert cli.main(["preprocess-unlabelled", "-d", "Dataset221_Tiny"]) == 2
    assert "nnUNetv2_plan_and_preprocess -d 221" in capsys.readouterr().err


def test_weights_lists_every_known_teacher_and_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path))
    (tmp_path / "seganypet_v1.pth").touch()
    assert cli.main(["weights"]) == 0
    listed = capsys.readouterr().out
    assert f"found    {tmp_path / 'seganypet_v1.pth'}" in listed
    assert "missing  `muduo weights sam_med3d_turbo` downloads it" in listed
    assert f"Weights folder: {tmp_path}" in listed


def test_weights_of_an_unknown_teacher_are_answered_with_the_known_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path))
    assert cli.main(["weights", "sam_med3d"]) == 2
    assert "did you mean sam_med3d_turbo" in capsys.readouterr().err


def test_plan_writes_settings_given_in_one_go_or_one_by_one(nnunet_folders: Path, capsys: pytest.CaptureFixture):
    folder = nnunet_folders / "nnUNet_preprocessed" / "Dataset221_Tiny"
    folder.mkdir()
    (folder / "nnUNetPlans.json").write_text(json.dumps({"configurations": {"3d_fullres": {}}}))
    assert cli.main(["plan", "-d", "221", "--set", "points=5", "fusion=mean", "--set", "seed=1", "-o", "Ours"]) == 0
    assert json.loads((folder / "Ours.json").read_text())["muduo"] == {"points": 5, "fusion": "mean", "seed": 1}
    assert str(folder / "Ours.json") in capsys.readouterr().out


def test_export_of_what_was_not_trained_is_one_sentence(nnunet_folders: Path, capsys: pytest.CaptureFixture):
    (nnunet_folders / "nnUNet_results" / "Dataset221_Tiny").mkdir()
    assert cli.main(["export", "-d", "221", "-o", str(nnunet_folders / "out")]) == 2
    assert "no trained model" in capsys.readouterr().err
    assert not (nnunet_folders / "out").exists()


def test_a_name_that_no_terminal_can_show_is_shown_as_an_escape(monkeypatch: pytest.MonkeyPatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(cli, "COMMANDS", (command_that(lambda arguments: print("liver \ud800 ä")),))
    assert cli.main(["try"]) == 0
    shown.flush()
    assert shown.buffer.getvalue() == b"liver \\ud800 \\xe4\n"
