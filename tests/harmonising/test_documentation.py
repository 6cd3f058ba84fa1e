"""What docs/harmonising.md says is what the commands take."""

import re
from argparse import ArgumentParser
from pathlib import Path

from nnunetv2_muduo.commands import harmonise
from nnunetv2_muduo.harmonising.identifiers import case_identifier
from nnunetv2_muduo.harmonising.layouts import PRESETS
from nnunetv2_muduo.harmonising.suv_table import read_suv_table

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "harmonising.md").read_text(encoding="utf-8")


def test_the_table_names_every_option_and_no_other():
    parser = ArgumentParser(add_help=False)
    harmonise.COMMAND.add_arguments(parser)
    rows = [
        line.split("|")[1] for line in PAGE.partition("## Options")[2].partition("##")[0].splitlines() if "|" in line
    ]
    named = {option for row in rows for option in re.findall(r"(?<![\w-])--?[a-z-]+", row)} - {"---"}
    assert named == {option for action in parser._actions for option in action.option_strings}


def test_names_are_those_of_the_page():
    name = case_identifier(["Müller, J."], centre="hospital")
    assert f"{name}_0000.nii.gz, {name}_0001.nii.gz" in PAGE


def test_presets_are_those_of_the_page():
    assert set(re.findall(r"^\| `([a-z-]+)` \| `C", PAGE, re.MULTILINE)) == set(PRESETS)


def test_the_table_of_doses_is_read(tmp_path):
    text = re.search(r"^ +case,.+\n +.+$", PAGE, re.MULTILINE)
    assert text is not None
    (tmp_path / "doses.csv").write_text("\n".join(line.strip() for line in text[0].splitlines()), encoding="utf-8")
    assert read_suv_table(tmp_path / "doses.csv")["Müller, J."].elapsed_in_s == 3810
