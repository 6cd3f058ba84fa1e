"""A case is in place whole, or not at all."""

import os
from pathlib import Path

import pytest

from nnunetv2_muduo.case_installing import announced_files, check_place_is_free, install_case, remove_case
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


def test_files_of_others_are_in_the_way_and_own_ones_are_not(tmp_path):
    install(tmp_path, "imagesTr/c")
    record = tmp_path / "records" / "c.json"
    assert announced_files(record) == ("imagesTr/c",)
    check_place_is_free(tmp_path / "dataset", ["imagesTr/c"], record=record, remedy="go away")
    with pytest.raises(UserError, match="imagesTr/c is in the dataset already and was not made here; go away"):
        check_place_is_free(
            tmp_path / "dataset", ["imagesTr/c"], record=tmp_path / "records" / "d.json", remedy="go away"
        )


def test_what_a_case_with_a_damaged_record_left_is_not_in_its_own_way(tmp_path):
    install(tmp_path, "imagesTr/c")
    record = tmp_path / "records" / "c.json"
    record.write_text(record.read_text()[:5])
    check_place_is_free(tmp_path / "dataset", ["imagesTr/c"], record=record, remedy="go away")
    install(tmp_path, "imagesTr/c")
    assert announced_files(record) == ("imagesTr/c",)
