"""A throwaway trainer leaves nothing behind, on this machine or another."""

import os

import pytest
from nnunetv2.training.logging import nnunet_logger
from planned_dataset import DATASET_JSON, unet_plans

from nnunetv2_muduo.memory.throwaway_trainer import throwaway_trainer
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo


def test_no_run_of_wandb_is_opened(monkeypatch: pytest.MonkeyPatch):
    opened: list = []
    monkeypatch.setattr(nnunet_logger, "WandbLogger", lambda *given: opened.append(given))
    monkeypatch.setenv("nnUNet_wandb_enabled", "1")
    plans = unet_plans(patch_size=(8, 16, 16), features=4)
    with throwaway_trainer(nnUNetTrainerMuDuo, plans, configuration="3d_fullres", dataset_json=DATASET_JSON):
        pass
    assert opened == []
    assert os.environ["nnUNet_wandb_enabled"] == "1"
