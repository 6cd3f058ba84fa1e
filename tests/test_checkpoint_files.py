"""Damaged checkpoints are told from whole ones, whatever is damaged."""

from pathlib import Path

import pytest
import torch

from nnunetv2_muduo.checkpoint_files import refuse_damaged
from nnunetv2_muduo.errors import UserError


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
