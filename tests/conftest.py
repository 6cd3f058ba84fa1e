"""What every test may use: the shared material beside the project, when it is there."""

from pathlib import Path

import pytest
from nnunet_variables import set_nnunet_folders
from training_forks import trains_in_forks


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what forks where an earlier test of this process has trained."""
    if item.get_closest_marker("forks") and not trains_in_forks():
        pytest.skip("this process has trained, so its forks cannot: run -m forks by itself")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the project (golden data, anatomy, CT); the test is skipped where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder 'shared' beside the project")
    return folder


@pytest.fixture
def nnunet_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, which holds the empty folders that nnU-Net's variables lead to."""
    return set_nnunet_folders(tmp_path, monkeypatch)
