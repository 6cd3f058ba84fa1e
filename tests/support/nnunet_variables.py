"""nnU-Net's environment variables set to folders of a test."""

from pathlib import Path

import pytest

from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES


def set_nnunet_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make nnU-Net's three folders in one that is there, under the names of their variables, and return that one."""
    for variable in FOLDER_VARIABLES:
        (folder / variable).mkdir()
        monkeypatch.setenv(variable, str(folder / variable))
    return folder
