"""Reading a checkpoint executes nothing and unpacks nothing; what is no checkpoint is said to be none."""

import zipfile
from pathlib import Path

import pytest
import torch

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.errors import UserError


def test_an_archive_that_grows_when_it_is_read_is_refused(tmp_path: Path):
    torch.save({"weights": torch.zeros(4)}, tmp_path / "whole.pth")
    with (
        zipfile.ZipFile(tmp_path / "whole.pth") as whole,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in whole.namelist():
            bomb.writestr(entry, whole.read(entry) + bytes(10 << 20))
    assert (tmp_path / "bomb.pth").stat().st_size < 1 << 20
    with pytest.raises(UserError, match=r"bomb\.pth is a compressed archive"):
        read_checkpoint(tmp_path / "bomb.pth")
    assert read_checkpoint(tmp_path / "whole.pth")["weights"].shape == (4,)


def test_a_folder_and_a_dead_link_are_no_files(tmp_path: Path):
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "link.pth").symlink_to(tmp_path / "nowhere")
    for name in ("folder.pth", "link.pth"):
        with pytest.raises(UserError, match=rf"There is no file .*{name}"):
            read_checkpoint(tmp_path / name)
