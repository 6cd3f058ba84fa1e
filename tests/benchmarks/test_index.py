"""benchmarks/README.md names every program and every result."""

import re
from pathlib import Path

from doc_pages import links_in, text_of

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
INDEX = text_of(BENCHMARKS / "README.md")


PROGRAMS = {path.name: text_of(path) for path in BENCHMARKS.glob("*.py") if "__main__" in text_of(path)}


def test_every_program_has_one_line():
    listed = re.findall(r"^\|[^|]+\| `(\w+\.py)`", INDEX, re.MULTILINE)
    assert sorted(listed) == sorted(PROGRAMS)


def test_the_ones_that_want_organ_maps_are_marked():
    wanting = r'"--anatomy", type=Path, required=True|add_common_arguments\(parser\)'
    marked = set(re.findall(r"`(\w+\.py)` \(ANATOMY", INDEX))
    assert marked == {name for name, text in PROGRAMS.items() if re.search(wanting, text)}


def test_every_table_of_results_is_linked_and_every_link_leads_somewhere():
    links = links_in(INDEX)
    assert [link for link in links if not (BENCHMARKS / link).is_file()] == []
    tables = {f"results/{path.name}" for path in (BENCHMARKS / "results").glob("*.md")}
    assert tables - set(links) == set()
