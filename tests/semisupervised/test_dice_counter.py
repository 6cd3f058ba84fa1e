"""Dice over patches together."""

import pytest
import torch

from nnunetv2_muduo.semisupervised.dice_counter import DiceCounter


def test_dice_adds_up_over_batches_before_dividing():
    counter = DiceCounter(1)
    ones, zeros = torch.ones(1, 1, 1, 1, 4, dtype=torch.bool), torch.zeros(1, 1, 1, 1, 4, dtype=torch.bool)
    counter.add(ones, ones, ones)
    counter.add(ones, zeros, ones)
    assert counter.dice() == pytest.approx([8 / 12])
