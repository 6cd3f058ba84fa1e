from pathlib import Path

import pytest
from pseudo_project import PseudoProject, write_project


@pytest.fixture
def project(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> PseudoProject:
    """A tiny project that nnU-Net's variables lead to; nothing can be downloaded."""
    monkeypatch.setenv("MUDUO_WEIGHTS", str(nnunet_folders / "weights"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return write_project(nnunet_folders)
