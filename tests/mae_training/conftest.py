"""A phantom dataset to pretrain on: labelled and unlabelled, or unlabelled alone."""

import copy
import json
from pathlib import Path

import pytest
import torch
from planned_dataset import unet_plans
from trainable_dataset import DATASET, PATCH, PRETRAINING, SPACING_IN_MM, TrainableDataset

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.mae_training import gathering
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE

MAE = PRETRAINING | {"seed": 0}


class PretrainingDataset:
    """Makes trainers for the folders of a test."""

    def __init__(self, preprocessed: Path, raw: Path, plans: dict, dataset_json: dict) -> None:
        self.preprocessed, self.raw = preprocessed, raw
        self.plans, self.dataset_json = plans, dataset_json

    def trainer(self, *, continues: bool = False, fold="all", configuration: str = "3d_fullres", **settings):
        plans = {**copy.deepcopy(self.plans), "mae": MAE | settings, "continue_training": continues}
        dataset_json = copy.deepcopy(self.dataset_json)
        return nnUNetTrainerPETCTMAE(plans, configuration, fold, dataset_json, torch.device("cpu"))


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainingDataset:
    """Two labelled and two unlabelled phantoms, all preprocessed."""
    monkeypatch.setattr(gathering, "default_num_processes", 1)
    made = TrainableDataset(tmp_path, monkeypatch)
    return PretrainingDataset(made.preprocessed, made.raw, made.plans, made.dataset_json)


@pytest.fixture
def without_labels(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainingDataset:
    """Three scans in imagesUn and nothing else."""
    monkeypatch.setattr(gathering, "default_num_processes", 1)
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    raw, preprocessed = nnunet_folders / "nnUNet_raw" / DATASET, nnunet_folders / "nnUNet_preprocessed" / DATASET
    write_phantom_dataset(raw, labelled=0, unlabelled=3, test=0, seed=0, spacing_in_mm=SPACING_IN_MM)
    dataset_json = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(dataset_json))
    plans = unet_plans(patch_size=PATCH, features=4)
    plans["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
    return PretrainingDataset(preprocessed, raw, plans, dataset_json)


@pytest.fixture
def started(dataset):
    """A trainer that is about to begin its first epoch."""
    trainer = dataset.trainer()
    trainer.on_train_start()
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    return trainer
