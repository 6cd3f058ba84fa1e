"""The tools that strike a command in the midst of its work strike where they say."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import SimpleITK as sitk
from fault_child import in_a_child
from fault_events import WRITE, Event, Watch, killing
from small_disk import fill, own_disk

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process"),
    pytest.mark.forks,
]


def change(folder: Path) -> None:
    """Five events: a folder, two files, one of them native, a new name, an end."""
    (folder / "new").mkdir()
    (folder / "new" / "text").write_text("0123456789")
    sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkUInt8), str(folder / "new" / "image.nii.gz"))
    os.replace(folder / "new" / "text", folder / "text")
    (folder / "new" / "image.nii.gz").unlink()


def struck(folder: Path, at: int, *, cut: float | None = None) -> int:
    def work() -> int:
        Watch(folder, killing(at, cut=cut)).begin()
        change(folder)
        return 0

    return in_a_child(work).code


def there(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_change_is_an_event_whoever_writes(tmp_path):
    def work() -> int:
        watch = Watch(tmp_path)
        watch.begin()
        change(tmp_path)
        (tmp_path.parent / "elsewhere").write_text("no event")
        assert [(event.kind, Path(event.path).name) for event in watch.events] == [
            ("os.mkdir", "new"), (WRITE, "text"), (WRITE, "image.nii.gz"), ("os.rename", "text"),
            ("os.remove", "image.nii.gz"),
        ]  # fmt: skip
        return 0

    ended = in_a_child(work)
    assert ended.code == 0, ended.text


@pytest.mark.parametrize(
    ("at", "left"),
    [
        (1, []),
        (2, []),
        (3, ["new/text"]),
        (4, ["new/image.nii.gz", "new/text"]),
        (5, ["new/image.nii.gz", "text"]),
    ],
)
def test_a_kill_comes_before_the_event_and_nothing_after_it(tmp_path, at, left):
    assert struck(tmp_path, at) == -signal.SIGKILL
    assert there(tmp_path) == left


def test_an_event_that_never_comes_kills_nobody(tmp_path):
    assert struck(tmp_path, 6) == 0


def test_a_torn_file_is_the_one_that_was_being_written_and_no_other(tmp_path):
    struck(tmp_path, 3, cut=0.5)
    assert (tmp_path / "new" / "text").read_text() == "01234"
    struck(tmp_path / "new", 5, cut=0.5)  # after a change of name: nothing is being written
    assert (tmp_path / "new" / "text").read_text() == "0123456789"


def test_of_a_file_that_grows_only_what_was_added_is_torn(tmp_path):
    (tmp_path / "rows").write_text("kept,")

    def work() -> int:
        Watch(tmp_path, killing(2, cut=0.5)).begin()
        with (tmp_path / "rows").open("a") as file:
            file.write("added!")
        (tmp_path / "next").mkdir()
        return 0

    in_a_child(work)
    assert (tmp_path / "rows").read_text() == "kept,add"


def test_files_that_a_tree_is_removed_with_are_events_below_the_folder(tmp_path):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "leaf").touch()

    def work() -> int:
        watch = Watch(tmp_path)
        watch.begin()
        shutil.rmtree(tmp_path / "tree")
        assert Event("os.remove", str(tmp_path / "tree" / "leaf")) in watch.events
        return 0

    ended = in_a_child(work)
    assert ended.code == 0, ended.text


def test_a_full_disk_is_full(tmp_path):
    with own_disk(tmp_path / "disk", size="1m") as mounted:
        if not mounted:
            pytest.skip("needs an account that may mount")
        fill(tmp_path / "disk", leave=8192)
        with pytest.raises(OSError, match="No space left"):
            (tmp_path / "disk" / "file").write_bytes(bytes(20_000))
