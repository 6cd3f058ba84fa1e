"""Trainings through torch.compile, which nnU-Net switches on for GPUs: traced for real, but no kernels generated."""

import functools
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch._dynamo import OptimizedModule
from torch._dynamo.utils import counters
from trainable_dataset import TrainableDataset

pytestmark = pytest.mark.slow

STUDENT = {"student_share": 0.3, "student_prompt_share": 0.5, "reliability": "gate", "report_every": 1}
TRAININGS = {
    "MuDuo": {**STUDENT, "warmup_epochs": 1, "spatial_augmentation": True},
    "MeanTeacher": {"predict_with": "ema"},
    "CPS": {},
    "SemiSAM": {},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nnUNetTrainer, "_do_i_compile", lambda trainer: True)
        patch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
        yield TrainableDataset(tmp_path_factory.mktemp("dataset"), patch)


@pytest.mark.parametrize("short", TRAININGS)
def test_it_trains_in_few_graphs_and_resumes(dataset: TrainableDataset, short: str):
    name = f"nnUNetTrainer{short}"
    trainer_class = getattr(importlib.import_module(f"nnunetv2_muduo.trainers.{name}"), name)
    settings = {"num_epochs": 2, "ramp_fraction": 0, **TRAININGS[short]}
    torch._dynamo.reset()
    counters.clear()
    trainer = dataset.trainer(trainer_class, **settings)
    trainer.run_training()
    assert isinstance(trainer.network, OptimizedModule)
    assert np.isfinite(trainer.logger.get_value("train_losses", step=-1))
    graphs = counters["stats"]["unique_graphs"]
    assert 0 < graphs <= 12  # one for each network, size of batch and with or without gradients
    assert not counters["graph_break"]
    final = Path(trainer.output_folder) / "checkpoint_final.pth"
    assert not any("_orig_mod" in key for key in torch.load(final, weights_only=False)["network_weights"])
    resumed = dataset.trainer(trainer_class, continues=True, **settings)
    resumed.load_checkpoint(str(final))
    for before, after in zip(trainer.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(before, after)
