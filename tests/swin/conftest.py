"""A phantom dataset with the smallest patch that a SwinUNETR trains on."""

import copy
from pathlib import Path

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from trainable_dataset import TrainableDataset

from nnunetv2_muduo.mae_training import gathering

PATCH = [32, 32, 64]
MAE = {"num_epochs": 2, "iterations_per_epoch": 1, "val_iterations_per_epoch": 1, "batch_size": 1, "seed": 0}
MUDUO = {"num_epochs": 2, "iterations_per_epoch": 1, "val_iterations_per_epoch": 1, "seed": 0}


class SwinDataset:
    """Two labelled and two unlabelled phantoms, preprocessed, and trainers for them."""

    def __init__(self, made: TrainableDataset) -> None:
        self.plans, self.dataset_json, self.preprocessed = made.plans, made.dataset_json, made.preprocessed
        self.results = made.folder / "nnUNet_results"
        self.configuration = self.plans["configurations"]["3d_fullres"]
        self.configuration |= {"patch_size": list(PATCH), "batch_size": 1}

    def trainer(
        self,
        trainer_class: type[nnUNetTrainer],
        *,
        fold: int | str = "all",
        configuration: str = "3d_fullres",
        continues: bool = False,
        mae: dict | None = None,
        muduo: dict | None = None,
    ) -> nnUNetTrainer:
        plans = {
            **copy.deepcopy(self.plans),
            "mae": MAE | (mae or {}),
            "muduo": MUDUO | (muduo or {}),
            "continue_training": continues,
        }
        dataset_json = copy.deepcopy(self.dataset_json)
        return trainer_class(plans, configuration, fold, dataset_json, torch.device("cpu"))


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SwinDataset:
    monkeypatch.setattr(gathering, "default_num_processes", 1)
    return SwinDataset(TrainableDataset(tmp_path, monkeypatch))
