"""Every trainer on a device that is not the CPU: nothing is left on the other one."""

import copy
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from second_device import CUDA, OnGpu, second_device
from trainable_dataset import PRETRAINING, TrainableDataset

from nnunetv2_muduo.mae_training import gathering
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE

TRAININGS = {
    "published fusion": ("MuDuo", {"fusion": "random", "point_strategy": "random"}),
    "report": ("MuDuo", {"reliability": "report", "report_every": 1, "grid": "1.5mm", "point_strategy": "uptake"}),
    "cache": ("MuDuo", {"teacher_cache": True, "optimizer": "adamw"}),
    "student votes": ("MuDuo", {"student_share": 0.3, "student_prompt_share": 0.5, "reliability": "gate"}),
    "turned": ("MuDuo", {"spatial_augmentation": True, "predict_with": "ema"}),
    "prompt generator": ("MuDuoPrompt", {}),
    "supervised": ("MuDuoSupervised", {}),
    "Mean Teacher": ("MeanTeacher", {"predict_with": "ema"}),
    "UA-MT": ("UAMT", {"uncertainty_passes": 2}),
    "CPS": ("CPS", {}),
    "SemiSAM": ("SemiSAM", {}),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("nnUNet_compile", "f")
        patch.setattr(gathering, "default_num_processes", 1)
        yield TrainableDataset(tmp_path_factory.mktemp("dataset"), patch)


@pytest.mark.slow
@pytest.mark.parametrize("key", TRAININGS)
def test_it_trains_and_resumes(dataset: TrainableDataset, key: str):
    short, settings = TRAININGS[key]
    name = f"nnUNetTrainer{short}"
    trainer_class = getattr(importlib.import_module(f"nnunetv2_muduo.trainers.{name}"), name)
    with second_device():
        trainer = dataset.trainer(trainer_class, device="cuda", ramp_fraction=0, **settings)
        trainer.run_training()
        assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
        assert all(isinstance(tensor, OnGpu) for tensor in trainer.network.parameters())
        resumed = dataset.trainer(trainer_class, device="cuda", continues=True, ramp_fraction=0, **settings)
        resumed.load_checkpoint(str(Path(trainer.output_folder) / "checkpoint_final.pth"))
        for before, after in zip(trainer.network.parameters(), resumed.network.parameters(), strict=True):
            assert isinstance(after, OnGpu)
            assert torch.equal(before, after)


def test_it_pretrains(dataset: TrainableDataset):
    plans = {**copy.deepcopy(dataset.plans), "mae": PRETRAINING | {"seed": 0}, "continue_training": False}
    with second_device():
        trainer = nnUNetTrainerPETCTMAE(plans, "3d_fullres", "all", copy.deepcopy(dataset.dataset_json), CUDA)
        trainer.run_training()
        assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
        assert all(isinstance(tensor, OnGpu) for tensor in trainer.network.parameters())
