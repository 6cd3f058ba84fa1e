"""Every command on the pages is one that the real parsers take; none is run but the few lines of Python."""

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from centre_folders import write_case
from doc_pages import PAGES, ROOT, backticked, commands_in, name_of, python_in, text_of

from nnunetv2_muduo import cli
from nnunetv2_muduo.commands import COMMANDS
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.dataset import parse_labels
from nnunetv2_muduo.harmonising.layouts import chosen_layout
from nnunetv2_muduo.harmonising.record import is_body_cropped
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.nnunet_folders import read_plans
from nnunetv2_muduo.presets import load_preset
from nnunetv2_muduo.settings import Settings, parse_assignment

NAMES = {command.name for command in COMMANDS}
NNUNET = {point.name: point for point in entry_points(group="console_scripts") if point.name.startswith("nnUNetv2_")}


class _Parsed(BaseException):
    """Stops an entry point of nnU-Net's as soon as it has its arguments; nothing in there catches it."""


@contextlib.contextmanager
def only_parsing() -> Iterator[list[argparse.ArgumentParser]]:
    """Inside, parsing stops its caller, and what a parser does not know is an error; yields the parsers asked."""
    asked: list[argparse.ArgumentParser] = []
    original = argparse.ArgumentParser.parse_known_args  # parse_args calls it, too

    def parse_and_stop(parser, *given, **named):
        asked.append(parser)
        _, unknown = original(parser, *given, **named)
        if unknown:
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        raise _Parsed

    argparse.ArgumentParser.parse_known_args = parse_and_stop  # type: ignore[method-assign,assignment]
    try:
        yield asked
    finally:
        argparse.ArgumentParser.parse_known_args = original  # type: ignore[method-assign]


def parse_with_nnunet(words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    """nnU-Net's own parser of a command, after it has taken the words."""
    entry = NNUNET[words[0]].load()
    monkeypatch.setattr(sys, "argv", words)
    with only_parsing() as asked, pytest.raises(_Parsed):
        entry()
    return asked[0]


def check_settings(assignments: list[str]) -> None:
    """Raises UserError for `--set` that `muduo plan` would refuse, each looked at by itself."""
    for key, value in map(parse_assignment, assignments):
        if key.startswith("mae."):
            MAESettings.from_plans({"mae": {key.removeprefix("mae."): value}})
        else:
            Settings.from_dict({key: value})


def check_harmonising(arguments: argparse.Namespace) -> None:
    """Raises UserError for what `muduo harmonise` would refuse before it looks at any file."""
    chosen_layout(arguments.preset, ct=arguments.ct, pet=arguments.pet, label=arguments.label)
    if arguments.labels:
        parse_labels(arguments.labels)


@cache
def options_of_muduo() -> frozenset[str]:
    options: set[str] = set()
    for command in COMMANDS:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        options |= set(parser._option_string_actions)
    return frozenset(options)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_muduo_command_is_accepted(page: Path):
    for words in commands_in(text_of(page)):
        if words[0] != "muduo":
            continue
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                arguments = cli.build_parser().parse_args(words[1:])
        except SystemExit:
            pytest.fail(f"{name_of(page)}: {' '.join(words)}\n{said.getvalue()}")
        if words[1] == "plan":
            check_settings(arguments.set)
            if arguments.preset:
                load_preset(arguments.preset)
        if words[1] == "harmonise":
            check_harmonising(arguments)


def test_a_harmonising_that_does_not_say_what_files_are_called_would_be_noticed():
    arguments = cli.build_parser().parse_args(["harmonise", "scans", "-d", "Dataset500_Pool", "--body-crop"])
    with pytest.raises(UserError, match="--ct and --pet"):
        check_harmonising(arguments)


def test_the_route_of_pretraining_can_be_gone_up_to_its_trainings(
    nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(nnunet_folders)
    write_case(nnunet_folders / "scans" / "one")
    write_case(nnunet_folders / "labelled_scans" / "two", label=True)
    said = [words for words in commands_in(text_of(ROOT / "docs" / "pretraining.md")) if words[0] == "muduo"]
    preparing = [words[1:] for words in said if words[1] in ("harmonise", "plan")]
    assert len(preparing) == 7
    for words in preparing:
        assert cli.main([*words, *(["-np", "1"] if words[0] == "harmonise" else [])]) == 0, words
    for dataset in ("Dataset500_Pool", "Dataset221_AutoPET"):
        assert is_body_cropped(nnunet_folders / "nnUNet_raw" / dataset)
        plans = read_plans(nnunet_folders / "nnUNet_preprocessed" / dataset, "nnUNetPlansPETCTMAE")
        assert plans["mae"]["swin"] == "base"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_of_nnunet_is_accepted_by_its_own_parser(page: Path, monkeypatch: pytest.MonkeyPatch):
    for words in commands_in(text_of(page)):
        if words[0] != "muduo":
            parse_with_nnunet(words, monkeypatch)


def test_a_command_behind_a_schedulers_is_found():
    assert commands_in("    srun nnUNetv2_train 221 3d_fullres 0") == [["nnUNetv2_train", "221", "3d_fullres", "0"]]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if python_in(text_of(page))], ids=name_of)
def test_every_line_of_python_runs_and_makes_a_dataset(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    for program in python_in(text_of(page)):
        exec(compile(program, name_of(page), "exec"), {})
    assert len(list(tmp_path.glob("Dataset*/imagesUn/*_0001.nii.gz"))) == 16


def test_a_flag_that_nnunet_does_not_have_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(sys, "argv", ["nnUNetv2_train", "221", "3d_fullres", "0", "-trainer", "nnUNetTrainerMuDuo"])
    with only_parsing(), pytest.raises(SystemExit):
        NNUNET["nnUNetv2_train"].load()()
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_named_in_a_sentence_exists(page: Path):
    for span in backticked(text_of(page)):
        words = span.split()
        if words[0] == "muduo" and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in NAMES, f"{name_of(page)}: `{span}`"
        if words[0].startswith("nnUNetv2_"):
            assert words[0] in NNUNET, f"{name_of(page)}: `{span}`"


def test_every_option_named_in_a_sentence_exists(monkeypatch: pytest.MonkeyPatch):
    known = set(options_of_muduo()) | {"-o", "-m", "-n", "--only-binary"}
    least = {
        "nnUNetv2_train": ["221", "3d_fullres", "0"],
        "nnUNetv2_predict": ["-i", "in", "-o", "out", "-d", "221", "-c", "3d_fullres"],
        "nnUNetv2_plan_and_preprocess": [],
        "nnUNetv2_evaluate_folder": ["labels", "predictions", "-djfile", "dataset.json", "-pfile", "plans.json"],
    }
    for name, arguments in least.items():
        known |= set(parse_with_nnunet([name, *arguments], monkeypatch)._option_string_actions)
    for page in PAGES:
        for span in backticked(text_of(page)):
            option = span.split()[0].split("=")[0]
            if option.startswith("-"):
                assert option in known, f"{name_of(page)}: `{span}`"


def test_the_readme_names_every_command():
    said = text_of(ROOT / "README.md")
    assert {name for name in NAMES if f"`muduo {name}" not in said} == set()
