"""UA-MT's step against its formula, voxel by voxel."""

import math
from pathlib import Path

import pytest
import torch
from fabricated_training import batch, trainers_in

from nnunetv2_muduo.distillation import clipped_noise
from nnunetv2_muduo.trainers.nnUNetTrainerUAMT import nnUNetTrainerUAMT


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    return trainers_in(tmp_path, monkeypatch)


@pytest.mark.parametrize("passes", [1, 3])
def test_loss_counts_the_voxels_of_low_entropy_alone(make, passes: int):
    trainer = make(trainer_class=nnUNetTrainerUAMT, uncertainty_passes=passes)
    for parameter in trainer.ema.network.parameters():
        parameter.mul_(1.3)
    trainer.iteration = 13  # of the 20 over which everything ramps up
    ramp = math.exp(-5 * (1 - 13 / 20) ** 2)
    given, noise = batch(), torch.Generator().manual_seed(3)
    clean = given["unlabelled"]["clean"]

    def answer() -> torch.Tensor:
        with torch.no_grad():
            return trainer.ema.network(clean + clipped_noise(clean.shape, generator=noise))[0].softmax(1)

    teacher = answer()
    mean = sum(answer() for _ in range(passes)) / passes
    with torch.no_grad():
        student = trainer.network(torch.cat([given["data"], given["unlabelled"]["image"]]))[0][2:].softmax(1)
    entropy = -(mean * torch.log(mean + 1e-6)).sum(1)
    certain = entropy < (0.75 + 0.25 * ramp) * math.log(3)
    squares = ((student - teacher) ** 2).permute(0, 2, 3, 4, 1)[certain]
    assert 0 < certain.sum() < certain.numel()

    trainer.noise.manual_seed(3)
    outcome = trainer.train_step(given)
    assert outcome["certain_shares"] == pytest.approx(float(certain.float().mean()), abs=2e-3)
    assert outcome["consistency_losses"] == pytest.approx(float(squares.mean()), rel=1e-3)
    assert trainer.iteration == 14


def test_at_the_end_of_the_ramp_every_voxel_is_certain(make):
    trainer = make(trainer_class=nnUNetTrainerUAMT, uncertainty_passes=2)
    trainer.iteration = 20
    assert trainer.train_step(batch())["certain_shares"] == 1.0
