"""SECURITY.md names every place that could execute what a file holds."""

import ast
import re
from pathlib import Path

import pytest
from doc_pages import ROOT, text_of

PAGE = text_of(ROOT / "SECURITY.md")
NAMED = set(re.findall(r"`([\w/]+\.py)`", PAGE))
UNPICKLING = {"pickle.load", "pickle.loads", "load_pickle", "joblib.load", "dill.load"}


def dangers_of(source: str) -> list[str]:
    """Calls that may unpickle: torch.load without weights_only=True, np.load with allow_pickle, pickles themselves."""
    return [
        called
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        for called in [ast.unparse(node.func)]
        for given in [{word.arg: ast.unparse(word.value) for word in node.keywords}]
        if called in UNPICKLING
        or (called == "torch.load" and given.get("weights_only") != "True")
        or (called in ("np.load", "numpy.load") and given.get("allow_pickle", "False") != "False")
    ]


def places() -> dict[str, list[str]]:
    """File, as the page would name it -> what it calls."""
    files = [*(ROOT / "nnunetv2_muduo").rglob("*.py"), *(ROOT / "trainers").glob("*.py")]
    found = {path: dangers_of(path.read_text(encoding="utf-8")) for path in files}
    return {_named(path): calls for path, calls in found.items() if calls}


def test_every_place_that_could_unpickle_is_on_the_page():
    assert set(places()) == NAMED


@pytest.mark.parametrize(
    ("source", "dangers"),
    [
        ("torch.load(path)", ["torch.load"]),
        ("torch.load(path, weights_only=False)", ["torch.load"]),
        ("torch.load(path, weights_only=True)", []),
        ("np.load(path)", []),
        ("np.load(path, allow_pickle=True)", ["np.load"]),
        ("pickle.load(file)", ["pickle.load"]),
    ],
)
def test_what_counts_as_dangerous(source: str, dangers: list[str]):
    assert dangers_of(source) == dangers


def test_shell_is_never_used():
    for path in (ROOT / "nnunetv2_muduo").rglob("*.py"):
        assert not re.search(r"shell=True|os\.system\(|\beval\(['\"a-z]|\bexec\(", path.read_text(encoding="utf-8")), (
            path
        )


def test_no_archive_is_ever_unpacked():
    for path in (ROOT / "nnunetv2_muduo").rglob("*.py"):
        assert not re.search(r"extractall|unpack_archive|tarfile|\.extract\(", path.read_text(encoding="utf-8")), path


def _named(path: Path) -> str:
    package = ROOT / "nnunetv2_muduo"
    return path.relative_to(package if path.is_relative_to(package) else ROOT).as_posix()
