"""The weights of one step are kept, whatever follows, and no others are taken for them."""

from pathlib import Path

import torch
from torch import nn

from nnunetv2_muduo.teachers.best_weights import BEST, are_kept, keep_weights, load_kept


def teacher(value: float) -> nn.Linear:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, value)
    return network


def test_the_weights_of_the_step_come_back(tmp_path: Path) -> None:
    keep_weights(tmp_path, teacher(1.0), step=0)
    keep_weights(tmp_path, teacher(2.0), step=3)
    loaded = teacher(0.0)
    assert load_kept(tmp_path, loaded, step=3)
    assert loaded.weight.item() == 2.0


def test_weights_of_another_step_are_not_taken_for_it(tmp_path: Path) -> None:
    network = teacher(7.0)
    assert not load_kept(tmp_path, network, step=0)
    keep_weights(tmp_path, teacher(1.0), step=0)
    assert not load_kept(tmp_path, network, step=3)
    assert network.weight.item() == 7.0


def test_weights_that_are_cut_short_count_as_lost(tmp_path: Path) -> None:
    keep_weights(tmp_path, teacher(1.0), step=0)
    assert are_kept(tmp_path, step=0)
    (tmp_path / BEST).write_bytes((tmp_path / BEST).read_bytes()[:100])
    assert not are_kept(tmp_path, step=0)
    assert not load_kept(tmp_path, teacher(0.0), step=0)


def test_they_are_data_alone(tmp_path: Path) -> None:
    keep_weights(tmp_path, teacher(1.0), step=0)
    assert torch.load(tmp_path / BEST, weights_only=True)["step"] == 0
