"""The best validation's weights are kept, whatever follows, and no others are taken for them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.teachers.best_weights import BEST, keep_if_best, load_best


def teacher(value: float) -> nn.Module:
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, value)
    return network


def rows(**dice: float) -> list[dict]:
    """A row of each step: step_0=0.5 and so on."""
    steps = {int(name.removeprefix("step_")): value for name, value in dice.items()}
    return [{"step": step, "target": "liver", "prompt": "mask", "dice": value} for step, value in steps.items()]


def test_a_worse_validation_leaves_the_best_and_a_better_one_replaces_it(tmp_path: Path) -> None:
    keep_if_best(tmp_path, teacher(1.0), rows(step_0=0.5))
    keep_if_best(tmp_path, teacher(2.0), rows(step_0=0.5, step_3=0.6))
    keep_if_best(tmp_path, teacher(3.0), rows(step_0=0.5, step_3=0.6, step_6=0.55))
    loaded = teacher(0.0)
    assert load_best(tmp_path, loaded, rows(step_0=0.5, step_3=0.6, step_6=0.55)) == 3
    assert loaded.weight.item() == 2.0


def test_weights_of_another_step_than_the_best_are_not_taken_for_it(tmp_path: Path) -> None:
    keep_if_best(tmp_path, teacher(1.0), rows(step_0=0.5))
    network = teacher(7.0)
    assert load_best(tmp_path, network, rows(step_0=0.5, step_3=0.6)) is None
    assert load_best(tmp_path, network, []) is None
    assert load_best(tmp_path / "elsewhere", network, rows(step_0=0.5)) is None
    assert network.weight.item() == 7.0


def test_weights_that_are_cut_short_are_named(tmp_path: Path) -> None:
    keep_if_best(tmp_path, teacher(1.0), rows(step_0=0.5))
    (tmp_path / BEST).write_bytes((tmp_path / BEST).read_bytes()[:100])
    with pytest.raises(UserError, match=BEST):
        load_best(tmp_path, teacher(0.0), rows(step_0=0.5))


def test_they_are_data_alone(tmp_path: Path) -> None:
    keep_if_best(tmp_path, teacher(1.0), rows(step_0=0.5))
    assert torch.load(tmp_path / BEST, weights_only=True)["step"] == 0
