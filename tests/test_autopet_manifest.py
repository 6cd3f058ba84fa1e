"""What a manifest tells; a damaged one tells less, and stops nobody."""

import json
from pathlib import Path

import pytest

from nnunetv2_muduo.autopet_manifest import MANIFEST, patients_told, sets_told


def test_sets_and_patients_are_those_of_the_cases(tmp_path: Path):
    cases = {"a": {"set": "test", "patient": "p"}, "b": {"set": "test", "patient": "q"}}
    (tmp_path / MANIFEST).write_text(json.dumps({"cases": cases}))
    assert sets_told(tmp_path) == {"test": {"a", "b"}}
    assert patients_told(tmp_path) == {"a": "p", "b": "q"}


@pytest.mark.parametrize(
    "content", ["[]", '{"cases": 3}', '{"cases": {"a": null, "b": {"set": [1], "patient": {}}}}', "{"]
)
def test_a_damaged_manifest_tells_nothing(tmp_path: Path, content: str):
    (tmp_path / MANIFEST).write_text(content)
    assert sets_told(tmp_path) == patients_told(tmp_path) == {}


def test_no_manifest_tells_nothing(tmp_path: Path):
    assert sets_told(tmp_path) == patients_told(tmp_path) == {}
