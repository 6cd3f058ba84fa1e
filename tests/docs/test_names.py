"""Links lead somewhere, and what stands in backticks exists."""

import importlib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, anchors_of, backticked, links_in, name_of, text_of

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.settings import Settings, parse_assignment

NO_SETTINGS = {"lesion", "use_v2", "symmetric", "ours", "weights_only", "allow_pickle"}  # left of =, and no setting
EXAMPLES = {"a/b.py", "tests/a/test_b.py", "evaluation/differences.md"}  # of names, and of what a user finds


@cache
def words_of_the_code() -> frozenset[str]:
    """Every identifier and every word of a string in the code, the presets and the benchmarks, and in nnU-Net."""
    nnunet = Path(str(find_spec("nnunetv2").origin)).parent  # type: ignore[union-attr]
    folders = (*(ROOT / name for name in ("nnunetv2_muduo", "trainers", "plans", "benchmarks", "scripts")), nnunet)
    files = [path for folder in folders for ending in ("py", "json", "toml") for path in folder.rglob(f"*.{ending}")]
    found: set[str] = set(re.findall(r"\w+", (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    for path in files:
        if "results" not in path.parts:
            found |= set(re.findall(r"\w+", path.read_text(encoding="utf-8", errors="replace")))
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page: Path):
    for link in links_in(text_of(page)):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{name_of(page)}: {link}"
        if anchor:
            assert anchor in anchors_of(text_of(target)), f"{name_of(page)}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_page_and_module_in_backticks_exists(page: Path):
    for span in backticked(text_of(page)):
        if re.fullmatch(r"[\w./*-]+/[\w.*-]+\.(py|md|svg)", span):
            if span in EXAMPLES:
                continue
            places = (ROOT, ROOT / "nnunetv2_muduo", page.parent)
            assert any(list(place.glob(span)) for place in places), f"{name_of(page)}: `{span}`"
        if re.fullmatch(r"nnunetv2_muduo(\.\w+)+", span):
            parent, _, name = span.rpartition(".")
            assert find_spec(span) or hasattr(importlib.import_module(parent), name), f"{name_of(page)}: `{span}`"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_name_in_backticks_is_one_of_the_code(page: Path):
    for span in backticked(text_of(page)):
        if re.fullmatch(r"(mae\.)?_?[a-z]+(_[a-z0-9]+)+|nnUNetTrainer\w+", span):
            assert span.removeprefix("mae.") in words_of_the_code(), f"{name_of(page)}: `{span}`"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_assignment_in_backticks_is_a_setting_with_a_value_it_takes(page: Path):
    for span in backticked(text_of(page)):
        words = span.removeprefix("muduo plan ").removeprefix("--set ").split()
        if not all(re.fullmatch(r"(mae\.)?[a-z_]+=\S+", word) for word in words):
            continue
        for key, value in map(parse_assignment, words):
            if key in NO_SETTINGS:
                continue
            if key.startswith("mae."):
                MAESettings.from_plans({"mae": {key.removeprefix("mae."): value}})
            else:
                Settings.from_dict({key: value})


def test_the_index_lists_every_page():
    listed = {(ROOT / "docs" / link.partition("#")[0]).resolve() for link in links_in(text_of(ROOT / "docs/README.md"))}
    assert {page for page in PAGES if page.parent == ROOT / "docs" and page.name != "README.md"} <= listed
