"""A case is in place whole, or not at all."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnunetv2_muduo.case_installing import (
    Outcome,
    announced_files,
    check_place_is_free,
    install_case,
    make_cases,
    outcome_of,
    remove_case,
)
from nnunetv2_muduo.errors import UserError


def install(folder: Path, *names: str) -> None:
    for name in names:
        (folder / "partial" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "partial" / name).write_text(name)
    (folder / "dataset").mkdir(exist_ok=True)
    record = folder / "records" / "c.json"
    install_case(folder / "dataset", names, partial=folder / "partial", record=record, content={"files": list(names)})


def in_place(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / "dataset").rglob("*") if path.is_file())


def test_a_case_that_moves_leaves_nothing_where_it_was(tmp_path):
    install(tmp_path, "imagesUn/c", "labelsUn/c")
    install(tmp_path, "imagesTr/c")
    assert in_place(tmp_path) == ["dataset/imagesTr/c"]
    remove_case(tmp_path / "dataset", tmp_path / "records" / "c.json")
    assert in_place(tmp_path) == []


def test_an_error_halfway_leaves_nothing(tmp_path, monkeypatch):
    real = os.replace

    def full_disk(source, target) -> None:
        if str(target).endswith("imagesTr/b"):
            raise OSError("no space left")
        real(source, target)

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(OSError, match="no space left"):
        install(tmp_path, "imagesTr/a", "imagesTr/b")
    assert in_place(tmp_path) == []
    assert not (tmp_path / "records" / "c.json").exists()


@pytest.mark.parametrize(
    "content", ['{"files": ["../victim", "/etc/victim", "", "imagesTr/c"]}', "[1]", '{"files": 3}']
)
def test_a_record_leads_to_no_file_outside_of_the_dataset(tmp_path, content):
    record = tmp_path / "c.json"
    record.write_text(content)
    (tmp_path / "victim").touch()
    (tmp_path / "dataset").mkdir()
    remove_case(tmp_path / "dataset", record)
    assert (tmp_path / "victim").exists()
    assert set(announced_files(record)) <= {"imagesTr/c"}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with somebody's file, which imagesTs of the dataset is a link to."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "keep.txt").write_text("anybody's")
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "imagesTs").symlink_to(tmp_path / "elsewhere")
    return tmp_path / "elsewhere"


def test_nothing_is_deleted_through_a_folder_that_is_a_link_out_of_the_dataset(tmp_path, elsewhere):
    install(tmp_path, "imagesTr/c")
    record = tmp_path / "records" / "c.json"
    record.write_text(json.dumps({"unfinished": ["imagesTr/c", "imagesTs/keep.txt"]}))
    with pytest.raises(UserError, match=r"imagesTs is a link that leads out .*elsewhere.* make it a folder"):
        remove_case(tmp_path / "dataset", record)
    with pytest.raises(UserError, match="imagesTs is a link"):
        install(tmp_path, "imagesTr/c")
    assert (elsewhere / "keep.txt").read_text() == "anybody's"
    assert in_place(tmp_path) == ["dataset/imagesTr/c"]


def test_nothing_is_written_through_one(tmp_path, elsewhere):
    with pytest.raises(UserError, match="imagesTs is a link"):
        install(tmp_path, "imagesTs/c", "imagesTr/c")
    with pytest.raises(UserError, match="imagesTs is a link"):
        check_place_is_free(tmp_path / "dataset", ["imagesTs/d"], record=tmp_path / "d.json", remedy="go away")
    assert [path.name for path in elsewhere.iterdir()] == ["keep.txt"]
    assert in_place(tmp_path) == []


def test_a_dataset_that_is_a_link_as_a_whole_is_as_good_as_any(tmp_path):
    (tmp_path / "other disk").mkdir()
    (tmp_path / "dataset").symlink_to(tmp_path / "other disk")
    install(tmp_path, "imagesTr/c")
    assert (tmp_path / "other disk" / "imagesTr" / "c").is_file()


def test_files_of_others_are_in_the_way_and_own_ones_are_not(tmp_path):
    install(tmp_path, "imagesTr/c")
    record = tmp_path / "records" / "c.json"
    assert announced_files(record) == ("imagesTr/c",)
    check_place_is_free(tmp_path / "dataset", ["imagesTr/c"], record=record, remedy="go away")
    with pytest.raises(UserError, match="imagesTr/c is in the dataset already and was not made here; go away"):
        check_place_is_free(
            tmp_path / "dataset", ["imagesTr/c"], record=tmp_path / "records" / "d.json", remedy="go away"
        )


def raising(error: Exception) -> Callable[[], tuple[str, ...]]:
    def work() -> tuple[str, ...]:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UserError("the PET is empty"), "the PET is empty"),
        (RuntimeError("Exception thrown in SimpleITK\nsitk::ERROR: Unable to open file."), "Unable to open file"),
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error"),
        (OSError(), "OSError"),
    ],
)
def test_what_is_wrong_with_a_case_is_its_reason(tmp_path, error, reason):
    assert outcome_of("c", raising(error), dataset=tmp_path) == Outcome("c", reason=reason)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_place_that_cannot_be_written_to_ends_the_run(tmp_path, number):
    with pytest.raises(UserError, match=r"cannot be written to \(.+\); make room and run the command again"):
        outcome_of("c", raising(OSError(number, os.strerror(number))), dataset=tmp_path)


def test_notes_and_reasons_are_told_case_by_case():
    told: list[str] = []
    known = {"a": Outcome("a", notes=("cut off",)), "b": Outcome("b", reason="empty"), "c": Outcome("c", reason="SUV?")}
    made = make_cases(known.__getitem__, "abc", doing="making", num_processes=1, log=told.append)
    assert made == list(known.values())
    assert told == ["a: cut off", "b: SKIPPED, empty.", "c: SKIPPED, SUV?"]


@pytest.mark.parametrize(
    "name", ["imagesTr/../../victim", "imagesTr\\\\..\\\\victim", "imagesTr/a/b", "imagesTr/.", "C:/victim"]
)
def test_a_record_names_files_in_folders_of_the_dataset_alone(tmp_path, name):
    (tmp_path / "c.json").write_text(json.dumps({"files": ["imagesTr/c", name]}))
    assert announced_files(tmp_path / "c.json") == ("imagesTr/c",)


def test_what_a_case_with_a_damaged_record_left_is_not_in_its_own_way(tmp_path):
    install(tmp_path, "imagesTr/c")
    record = tmp_path / "records" / "c.json"
    record.write_text(record.read_text()[:5])
    check_place_is_free(tmp_path / "dataset", ["imagesTr/c"], record=record, remedy="go away")
    install(tmp_path, "imagesTr/c")
    assert announced_files(record) == ("imagesTr/c",)
