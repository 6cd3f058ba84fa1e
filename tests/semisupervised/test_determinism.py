"""With a seed, two trainings on the CPU are the same, weight for weight."""

import importlib
from pathlib import Path

import pytest
import torch
from fabricated_training import weights
from torch import Tensor
from trainable_dataset import TrainableDataset

from nnunetv2_muduo.training.configured import ConfiguredTrainer

SETTINGS = {
    "nnUNetTrainerMuDuo": {"keep_fraction": 1.0, "consistency_weight": 1.0, "point_strategy": "random"},
    "nnUNetTrainerMuDuoSupervised": {},
    "nnUNetTrainerMeanTeacher": {"consistency_weight": 1.0},
    "nnUNetTrainerUAMT": {"consistency_weight": 1.0, "uncertainty_passes": 2},
    "nnUNetTrainerCPS": {"consistency_weight": 1.0},
    "nnUNetTrainerSemiSAM": {"consistency_weight": 1.0, "generalist": "pet", "generalist_prompt": "points"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        yield TrainableDataset(tmp_path_factory.mktemp("dataset"), patch)


def weights_after(dataset: TrainableDataset, name: str, *, steps: int, seed: int = 0) -> Tensor:
    """Weights after some steps from scratch, in nnU-Net's order of calls."""
    trainer_class: type[ConfiguredTrainer] = getattr(importlib.import_module(f"nnunetv2_muduo.trainers.{name}"), name)
    trainer = dataset.trainer(trainer_class, seed=seed, ramp_fraction=0.0, **SETTINGS[name])
    trainer.on_train_start()
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    for _ in range(steps):
        trainer.train_step(next(trainer.dataloader_train))
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        getattr(loader, "finish", getattr(loader, "_finish", lambda: None))()
    return weights(trainer)


@pytest.mark.parametrize("name", SETTINGS)
def test_ten_steps_in_this_process_are_the_same(dataset: TrainableDataset, name: str):
    first = weights_after(dataset, name, steps=10)
    made = Path(dataset.folder / "nnUNet_results").glob("*/nnUNetTrainerMuDuoPrompt__*/fold_0/checkpoint_final.pth")
    assert bool(list(made)) or name != "nnUNetTrainerMuDuo"  # trained by the first run, loaded by the second
    assert torch.equal(first, weights_after(dataset, name, steps=10))


def test_another_seed_is_another_training(dataset: TrainableDataset):
    name = "nnUNetTrainerMuDuoSupervised"
    assert not torch.equal(weights_after(dataset, name, steps=1), weights_after(dataset, name, steps=1, seed=1))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nnUNetTrainerMuDuo", "nnUNetTrainerMuDuoSupervised"])
def test_ten_steps_with_workers_are_the_same(dataset: TrainableDataset, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv("nnUNet_n_proc_DA", "4")
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    first, second = (weights_after(dataset, name, steps=10) for _ in range(2))
    assert torch.equal(first, second)
