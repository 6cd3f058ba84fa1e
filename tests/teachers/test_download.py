from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.utils import HfHubHTTPError

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.download import fetch_weights
from nnunetv2_muduo.teachers.weights import find_weights


class Hub:
    """A careless client of the hub: writes the file in two halves, and fails between them if it is told to."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.failure = failure
        self.first_answer: Exception | None = None
        self.asked: list[tuple[str, str]] = []
        self.resumed: list[bool] = []

    def __call__(self, *, repo_id: str, filename: str, local_dir: Path) -> str:
        self.asked.append((repo_id, filename))
        path = Path(local_dir) / filename
        self.resumed.append(path.exists())
        if not path.exists():
            path.write_bytes(b"first half, ")
        if self.failure is not None:
            raise self.failure
        with path.open("ab") as file:
            file.write(b"second half")
        return str(path)

    def metadata(self, url: str) -> None:
        assert url.startswith("https://huggingface.co/")
        if self.first_answer is not None:
            raise self.first_answer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    client = Hub()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", client)
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", client.metadata)
    return client


def test_weights_come_from_where_they_are_published(hub, tmp_path):
    path = fetch_weights("sam_med3d_turbo", folder=tmp_path / "new")
    assert path == tmp_path / "new" / "sam_med3d_turbo.pth"
    assert path.read_bytes() == b"first half, second half"
    fetch_weights("seganypet_v1", folder=tmp_path / "new")
    assert hub.asked == [
        ("blueyo0/SAM-Med3D", "sam_med3d_turbo.pth"),
        ("YichiZhang98/SegAnyPET", "seganypet_v1.pth"),
    ]
    assert sorted(left.name for left in (tmp_path / "new").iterdir()) == ["sam_med3d_turbo.pth", "seganypet_v1.pth"]


def test_the_folder_is_the_weights_folder_unless_told_otherwise(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path))
    assert fetch_weights("seganypet_v1").parent == tmp_path


def test_an_interrupted_download_leaves_no_final_file_and_is_resumed(hub, tmp_path):
    hub.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        fetch_weights("sam_med3d_turbo", folder=tmp_path)
    with pytest.raises(UserError, match="missing"):
        find_weights("sam_med3d_turbo", folder=tmp_path)
    hub.failure = None
    assert fetch_weights("sam_med3d_turbo", folder=tmp_path).read_bytes() == b"first half, second half"
    assert hub.resumed == [False, True]


@pytest.mark.parametrize("failure", [OSError("no route to the hub\nmore"), ValueError("no route to the hub.")])
def test_a_failed_download_says_how_to_do_it_by_hand(failure, hub, tmp_path):
    hub.failure = failure
    with pytest.raises(UserError) as caught:
        find_weights("sam_med3d_turbo", folder=tmp_path, download=True)
    message = str(caught.value)
    assert "the download failed (no route to the hub); fetch sam_med3d_turbo.pth" in message
    for part in ("https://huggingface.co/blueyo0/SAM-Med3D", "muduo weights sam_med3d_turbo", str(tmp_path)):
        assert part in message
    assert not (tmp_path / "sam_med3d_turbo.pth").exists()


def test_without_a_connection_the_client_is_not_left_to_try_for_minutes(hub, tmp_path):
    hub.first_answer = OSError("Name or service not known")
    with pytest.raises(
        UserError, match=r"the download failed \(Name or service not known\); fetch sam_med3d_turbo.pth"
    ):
        fetch_weights("sam_med3d_turbo", folder=tmp_path)
    assert hub.asked == []
    assert list(tmp_path.iterdir()) == []


def test_a_hub_that_is_busy_is_left_to_the_client_to_ask_again(hub, tmp_path):
    hub.first_answer = HfHubHTTPError.__new__(HfHubHTTPError)  # releases of the client take different arguments
    assert fetch_weights("sam_med3d_turbo", folder=tmp_path).is_file()


def test_a_file_that_is_there_is_not_fetched_again(hub, tmp_path):
    (tmp_path / "sam_med3d_turbo.pth").write_bytes(b"mine")
    lines: list[str] = []
    assert fetch_weights("sam_med3d_turbo", folder=tmp_path, log=lines.append).read_bytes() == b"mine"
    assert "there already" in lines[0]
    assert find_weights("sam_med3d_turbo", folder=tmp_path, download=True).read_bytes() == b"mine"
    assert hub.asked == []


def test_nothing_is_downloaded_unasked_or_offline(hub, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no such file"):
        find_weights("sam_med3d_turbo", folder=tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "true")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE"):
        fetch_weights("sam_med3d_turbo", folder=tmp_path)
    assert hub.asked == []
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_teacher_is_refused(hub, tmp_path):
    with pytest.raises(UserError, match="No teacher is called 'medsam'"):
        fetch_weights("medsam", folder=tmp_path)


def test_a_folder_that_cannot_be_made_is_named(hub, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/weights"):
        fetch_weights("sam_med3d_turbo", folder=tmp_path / "file" / "weights")


def test_what_a_kill_after_the_download_left_is_cleared_away(hub, tmp_path):
    fetch_weights("sam_med3d_turbo", folder=tmp_path)
    for again in (fetch_weights, partial(find_weights, download=True)):
        (tmp_path / ".downloading-sam_med3d_turbo.pth").mkdir()
        again("sam_med3d_turbo", folder=tmp_path)
        assert [left.name for left in tmp_path.iterdir()] == ["sam_med3d_turbo.pth"]
