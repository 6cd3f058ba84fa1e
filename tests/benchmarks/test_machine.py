"""Results are written as a table and as JSON that holds what was measured, lists of numbers on a line."""

import json
from pathlib import Path

from machine import write_results


def test_what_was_measured_is_read_back_as_it_was(tmp_path: Path):
    record = {"command": "python a.py --b [1, 2]", "measured": [[1.5, None], [], ["a,", "b]", "{c}"], {"x": [1, 2]}]}
    write_results(tmp_path / "a", title="T", header=["h"], rows=[["1"]], record=record, machine={"date": "today"})
    written = (tmp_path / "a.json").read_text()
    assert json.loads(written) == {"title": "T", "machine": {"date": "today"}, **record}
    assert "[1.5, null]" in written
    assert (tmp_path / "a.md").read_text().startswith("# T\n\n| h |\n|---|\n| 1 |\n")
