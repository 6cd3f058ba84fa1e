"""Files are written whole, linked or copied."""

import errno
import io
import os
import re
import stat
import subprocess
import sys
import tempfile

import pytest

from nnunetv2_muduo.files import (
    can_link,
    check_can_write,
    clear_away_left_behind,
    clear_away_left_behind_of,
    file_stamp,
    link_or_copy,
    replacing,
    replacing_folder,
    take_back,
)

REPLACING_KILLED = """
import os, shutil
from pathlib import Path
from nnunetv2_muduo.files import replacing_folder

rename, done = Path.rename, []

def counted(self, target):
    if len(done) == {renamed}:
        os._exit(9)
    done.append(target)
    return rename(self, target)

Path.rename = counted
shutil.rmtree = lambda *_, **__: os._exit(9)
with replacing_folder(Path({folder!r})) as partial:
    partial.mkdir()
    (partial / "a").write_text("new")
"""


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with replacing(tmp_path / "a") as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def fail_natively(path) -> None:
    with replacing(path) as partial:
        partial.write_text("half")
        raise RuntimeError("unexpected pos 576 vs 534")  # what torch says to a full disk


def test_a_library_that_cannot_write_is_answered_with_the_systems_reason(tmp_path, monkeypatch):
    def refused(**_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(OSError, match="No space left") as caught:
        fail_natively(tmp_path / "a")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_is_asked_while_what_was_half_written_still_fills_it(tmp_path, monkeypatch):
    """In a moment the half file is gone, and with it the reason."""

    def full_until_the_half_is_gone(*, dir, **_):  # noqa: A002
        if list(tmp_path.glob(".partial-*/a")):
            raise OSError(errno.ENOSPC, "No space left on device")
        return io.BytesIO()

    monkeypatch.setattr(tempfile, "TemporaryFile", full_until_the_half_is_gone)
    with pytest.raises(OSError, match="No space left"):
        fail_natively(tmp_path / "a")


def test_a_full_disk_that_names_no_file_gets_the_name(tmp_path):
    def fail() -> None:
        with replacing(tmp_path / "a"):
            raise OSError(errno.ENOSPC, "No space left on device")  # what writing to an open file says

    with pytest.raises(OSError, match="No space left") as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "a")


def replace_folder(path, text: str) -> None:
    with replacing_folder(path) as partial:
        partial.mkdir()
        (partial / "a").write_text(text)


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for text in ("old", "new"):
        replace_folder(tmp_path / "folder", text)
        assert (tmp_path / "folder" / "a").read_text() == text
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("renamed", [0, 1, 2])
def test_a_folder_is_never_lost_whenever_its_replacement_is_killed(tmp_path, renamed):
    replace_folder(tmp_path / "folder", "old")
    child = REPLACING_KILLED.format(renamed=renamed, folder=str(tmp_path / "folder"))
    assert subprocess.run([sys.executable, "-c", child], check=False).returncode == 9
    take_back(tmp_path / "folder")
    assert (tmp_path / "folder" / "a").read_text() == ("new" if renamed == 2 else "old")
    assert not list(tmp_path.glob(".earlier-*"))


def test_a_library_that_fails_for_another_reason_is_heard(tmp_path):
    with pytest.raises(RuntimeError, match="unexpected pos"):
        fail_natively(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_place_is_tried_before_it_is_needed_and_nothing_is_left_of_it(tmp_path):
    check_can_write(tmp_path / "new" / "deeper" / "a.csv")
    (tmp_path / "a").write_text("old")
    check_can_write(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
    for path, reason in (
        (tmp_path, errno.EISDIR),
        (tmp_path / "a" / "b", errno.ENOTDIR),
        (tmp_path / "a" / "b" / "c", errno.ENOTDIR),
        (tmp_path / ("n" * 300), errno.ENAMETOOLONG),
        (tmp_path / ("n" * 300) / "a", errno.ENAMETOOLONG),
    ):
        with pytest.raises(OSError, match=re.escape(os.strerror(reason))) as caught:
            check_can_write(path)
        assert caught.value.filename
        assert ".partial" not in caught.value.filename


def test_trying_a_place_makes_no_folder_that_a_kill_could_leave_and_tells_of_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: pytest.fail("a kill would leave it"))
    check_can_write(tmp_path / "new" / "a")

    def refused(**_) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    with pytest.raises(OSError, match="Read-only") as caught:
        check_can_write(tmp_path / "new" / "a")
    assert caught.value.filename == str(tmp_path / "new" / "a")


def test_a_link_points_to_the_file_itself_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "source").write_text("content")
    monkeypatch.chdir(tmp_path)
    link_or_copy((tmp_path / "source").relative_to(tmp_path), tmp_path / "deeper" / "link")
    assert (tmp_path / "deeper" / "link").is_symlink()
    assert (tmp_path / "deeper" / "link").read_text() == "content"


def test_a_copy_is_made_where_links_are_not_wanted_or_not_possible(tmp_path, monkeypatch):
    (tmp_path / "source").write_text("content")
    assert link_or_copy(tmp_path / "source", tmp_path / "wanted", copy=True) == "copied"

    def refuse(*_) -> None:
        raise OSError

    monkeypatch.setattr(os, "symlink", refuse)
    assert link_or_copy(tmp_path / "source", tmp_path / "hard") == "hard-linked"
    assert (tmp_path / "hard").samefile(tmp_path / "source")
    monkeypatch.setattr(os, "link", refuse)
    assert link_or_copy(tmp_path / "source", tmp_path / "forced") == "copied"
    for path in (tmp_path / "wanted", tmp_path / "forced"):
        assert (path.is_symlink(), path.read_text(), path.stat().st_nlink) == (False, "content", 1)


def test_a_stamp_tells_a_changed_file(tmp_path):
    (tmp_path / "a").write_text("one")
    before = file_stamp(tmp_path / "a")
    (tmp_path / "a").write_text("three")
    assert file_stamp(tmp_path / "a") != before


def test_what_killed_runs_left_is_cleared_away_once_no_run_can_be_alive(tmp_path):
    names = (".partial-1-case", ".partial-old", "kept")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "image").write_text("half")
    (tmp_path / ".partial-2.json").write_text("half")
    for name in (".partial-old", ".partial-2.json", "kept"):
        os.utime(tmp_path / name, (0, 0))
    clear_away_left_behind(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".partial-1-case", "kept"]
    clear_away_left_behind(tmp_path / "missing", tmp_path, all_of_them=True)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_of_single_files_only_what_can_be_nobody_elses_is_cleared_away(tmp_path):
    inside = {".partial-old": "mask.png", ".partial-others": "report.html", ".partial-young": "mask.png"}
    for name, content in inside.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / content).write_text("half")
    (tmp_path / ".partial-empty").mkdir()
    (tmp_path / ".partial-mask.png").write_text("somebody's file")
    for name in (".partial-old", ".partial-others", ".partial-empty", ".partial-mask.png"):
        os.utime(tmp_path / name, (0, 0))
    clear_away_left_behind_of(tmp_path / "missing" / "mask.png", tmp_path / "mask.png")
    assert {path.name for path in tmp_path.iterdir()} == {".partial-others", ".partial-young", ".partial-mask.png"}


def test_nobody_else_can_read_what_is_in_the_making_or_guess_where_it_is(tmp_path):
    folders = set()
    for _ in range(20):
        with replacing(tmp_path / "a") as partial:
            partial.write_text("whole")
            assert stat.S_IMODE(partial.parent.stat().st_mode) == 0o700
            folders.add(partial.parent.name)
    assert len(folders) == 20
    assert all(name.startswith(f".partial-{os.getpid()}-") for name in folders)


def test_what_is_finished_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")
    with replacing(tmp_path / "a") as partial:
        partial.write_text("whole")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_where_nothing_can_be_written_the_file_itself_is_named(tmp_path, monkeypatch):
    def refused(*_, **__) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / ".partial-1"))

    monkeypatch.setattr(tempfile, "mkdtemp", refused)
    with pytest.raises(OSError, match="No space left") as caught:
        fail_natively(tmp_path / "a")
    assert caught.value.filename == str(tmp_path / "a")


def test_a_temporary_name_of_the_longest_case_is_one_that_file_systems_take(tmp_path):
    with replacing(tmp_path / f"{'x' * 200}_0000.nii.gz") as partial:
        partial.write_text("whole")


def test_whether_links_are_possible_is_tried_and_nothing_is_left(tmp_path, monkeypatch):
    def refuse(*_) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "source").write_text("content")
    (tmp_path / "folder").mkdir()
    assert can_link(tmp_path / "source", tmp_path / "folder")
    monkeypatch.setattr(os, "symlink", refuse)
    assert can_link(tmp_path / "source", tmp_path / "folder")
    monkeypatch.setattr(os, "link", refuse)
    assert not can_link(tmp_path / "source", tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []
