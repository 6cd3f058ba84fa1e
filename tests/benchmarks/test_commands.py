"""Every command that a benchmark or a page shows is one that the benchmark takes."""

import argparse
import re
import runpy
import shlex
from pathlib import Path

import pytest
from doc_pages import PAGES, text_of

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
COMMAND = re.compile(r"python (benchmarks/\w+\.py[^\n#`]*)")


class ParsedError(Exception):
    """The command line was accepted; nothing else of the benchmark is to run."""


def commands_of(paths: list[Path]) -> list[str]:
    """What follows "python " in docstrings and pages, lines that end in a backslash joined."""
    texts = [re.sub(r"\\\n\s*", " ", text_of(path)) for path in paths]
    return sorted({command.strip() for text in texts for command in COMMAND.findall(text)})


@pytest.mark.parametrize("command", commands_of([*sorted(BENCHMARKS.glob("*.py")), *PAGES]))
def test_a_command_is_accepted(command: str, monkeypatch: pytest.MonkeyPatch):
    script, *arguments = shlex.split(command.removesuffix('",'))
    parse = argparse.ArgumentParser.parse_args

    def only_parse(self, args=None, namespace=None):
        parse(self, args, namespace)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    monkeypatch.setattr("sys.argv", [script, *arguments])
    with pytest.raises(ParsedError):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def test_every_benchmark_shows_how_it_is_run():
    programs = [path for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    assert len(programs) > 20
    assert [path.name for path in programs if f"python benchmarks/{path.name}" not in text_of(path)] == []
