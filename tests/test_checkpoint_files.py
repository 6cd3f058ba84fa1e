"""Reading a checkpoint executes and unpacks nothing; damaged ones and what is none are told from whole ones."""

import zipfile
from pathlib import Path

import pytest
import torch

from nnunetv2_muduo.checkpoint_files import read_checkpoint, refuse_damaged
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


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint_latest.pth"
    torch.save({"network_weights": {"a": torch.arange(1000.0)}}, path)
    return path


def test_a_whole_checkpoint_passes(checkpoint: Path):
    refuse_damaged(checkpoint)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_one_that_is_cut_short_is_refused_by_name(checkpoint: Path, share: float):
    checkpoint.write_bytes(checkpoint.read_bytes()[: int(share * checkpoint.stat().st_size)])
    with pytest.raises(UserError, match=r"checkpoint_latest.pth is damaged; move it away"):
        refuse_damaged(checkpoint)


def test_one_with_another_byte_in_a_tensor_is_refused_though_torch_reads_it(checkpoint: Path):
    content = bytearray(checkpoint.read_bytes())
    place = content.index(torch.arange(1000.0).numpy().tobytes()) + 2001
    content[place] ^= 255
    checkpoint.write_bytes(content)
    assert not torch.equal(torch.load(checkpoint)["network_weights"]["a"], torch.arange(1000.0))
    with pytest.raises(UserError, match="is damaged"):
        refuse_damaged(checkpoint)


@pytest.mark.parametrize("table", ["network_weights", None])
@pytest.mark.parametrize("kind", ["without numbers", "sparse", "quantised"])
def test_tensors_that_are_no_plain_numbers_are_refused_by_name(tmp_path: Path, kind: str, table: str | None):
    plain = torch.ones(2, 3)
    odd = {
        "without numbers": plain.to("meta"),
        "sparse": plain.to_sparse(),
        "quantised": torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8),
    }[kind]
    weights = {"first": plain, "odd": odd}
    torch.save(weights if table is None else {table: weights}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth holds odd without its numbers, sparse or quantised"):
        read_checkpoint(tmp_path / "a.pth")
