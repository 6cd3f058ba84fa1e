from pathlib import Path

import pytest
from pseudo_project import PseudoProject, write_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PseudoProject:
    """A tiny project that nnU-Net's variables lead to; nothing can be downloaded."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return write_project(tmp_path)
