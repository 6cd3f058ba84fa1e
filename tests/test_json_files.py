"""Whatever is wrong with a JSON file is said of it by name."""

from pathlib import Path

import pytest

from nnunetv2_muduo import json_files
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import is_number, parse_json, read_json, read_table, table_or_nothing


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "is not valid JSON"),
        (b"", "is not valid JSON"),
        ('{"a": 1}'.encode("utf-16"), "is not in UTF-8"),
        ('{"ä": 1}'.encode("latin-1"), "is not in UTF-8"),
        (b"[" * 100_000, "too deeply"),
        (b"[" * 100_000 + b"]" * 100_000, "too deeply"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"dataset\.json {words}|dataset\.json .*{words}"):
        read_json(tmp_path / "dataset.json")
    assert table_or_nothing(tmp_path / "dataset.json") == {}


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"a\.json is missing"):
        read_json(tmp_path / "a.json")
    (tmp_path / "b.json").mkdir()
    with pytest.raises(UserError, match=r"b\.json cannot be read"):
        read_json(tmp_path / "b.json")


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_what_is_no_table_is_refused_where_a_table_is_wanted(tmp_path: Path, content: str):
    (tmp_path / "plans.json").write_text(content)
    with pytest.raises(UserError, match=r"plans\.json holds a \w+, not a JSON table"):
        read_table(tmp_path / "plans.json")
    assert table_or_nothing(tmp_path / "plans.json") == {}


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(json_files, "MOST_BYTES", 10)
    (tmp_path / "a.json").write_text('{"a": "0123456789"}')
    with pytest.raises(UserError, match=r"a\.json is larger than"):
        read_json(tmp_path / "a.json")


def test_what_nests_deeper_than_any_file_of_ours_is_refused_though_python_would_read_it():
    most = json_files.MOST_LEVELS
    assert parse_json("[" * most + "]" * most)
    with pytest.raises(ValueError, match="too deeply"):
        parse_json("[" * (most + 1) + "]" * (most + 1))


@pytest.mark.parametrize("value", [True, None, "1", [1], float("nan"), float("inf"), 10**400])
def test_what_floating_point_does_not_hold_is_no_number(value):
    assert not is_number(value)
    assert is_number(-1)
    assert is_number(0.5)


def test_half_of_a_character_is_refused_and_a_whole_one_read():
    assert parse_json(r'{"name": "\ud83d\ude00 m\u00fcller"}') == {"name": "\U0001f600 müller"}
    for text in (r'"\ud83d"', r'{"a": [1, "b\udc80"]}', r'{"\ude00\ud83d": 1}'):
        with pytest.raises(ValueError, match="half of a character"):
            parse_json(text)
