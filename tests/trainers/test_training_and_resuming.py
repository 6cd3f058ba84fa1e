"""Every semi-supervised trainer in nnU-Net's loop on a tiny phantom dataset: stopped, resumed, finished."""

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from trainable_dataset import TrainableDataset

from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.training.ema_trainer import STATE_KEY

CASES = {
    "nnUNetTrainerMeanTeacher": {},
    "nnUNetTrainerUAMT": {"uncertainty_passes": 2},
    "nnUNetTrainerCPS": {"predict_with": "ema"},
    "nnUNetTrainerSemiSAM": {"generalist": "pet", "generalist_prompt": "points"},
    "nnUNetTrainerMuDuo": {"predict_with": "ema", "keep_fraction": 1.0},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        yield TrainableDataset(tmp_path_factory.mktemp("dataset"), patch)


def make(dataset: TrainableDataset, name: str, **options) -> SemiSupervisedTrainer:
    trainer_class = getattr(importlib.import_module(f"nnunetv2_muduo.trainers.{name}"), name)

    class Stopped(trainer_class):
        """Stops after its first epoch where it is told to."""

        stops = False

        def on_epoch_end(self) -> None:
            super().on_epoch_end()
            if self.stops:
                raise KeyboardInterrupt

    Stopped.__name__ = name
    trainer = dataset.trainer(Stopped, num_epochs=2, **CASES[name], **options)
    trainer.save_every = 1
    return trainer


def networks(trainer: SemiSupervisedTrainer) -> dict[str, dict[str, torch.Tensor]]:
    found = {"student": trainer.network.state_dict()}
    if trainer.ema is not None:
        found["average"] = trainer.ema.network.state_dict()
    if hasattr(trainer, "second"):
        found["second"] = trainer.second.network.state_dict()
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_stopped_training_goes_on_where_it_was(dataset: TrainableDataset, name: str):
    first = make(dataset, name)
    first.stops = True
    with pytest.raises(KeyboardInterrupt):
        first.run_training()
    first.dataloader_train.finish()

    resumed = make(dataset, name, continues=True)
    resumed.load_checkpoint(str(Path(first.output_folder) / "checkpoint_latest.pth"))
    before, after = networks(first), networks(resumed)
    assert set(before) == set(after)
    assert "average" in after
    for network, tensors in before.items():
        assert all(torch.equal(after[network][key], tensor) for key, tensor in tensors.items()), network
    assert resumed.ema.steps == 2

    resumed.run_training()
    assert resumed.current_epoch == 2
    assert resumed.ema.steps == 4
    logged = resumed.logger.get_checkpoint()
    for key in (*resumed.scalar_log_keys, "supervised_losses"):
        assert len(logged[key]) == 2, key
        assert np.isfinite(logged[key]).all(), key
    folder = Path(resumed.output_folder)
    vain = "Settings that mean nothing to nnUNetTrainerMeanTeacher: ct_teacher, pet_teacher, report_patches"
    assert (vain in Path(resumed.log_file).read_text()) is (name == "nnUNetTrainerMeanTeacher")
    assert (folder / "progress_muduo.png").stat().st_size > 10_000
    stored = torch.load(folder / "checkpoint_final.pth", weights_only=False)
    kept = stored[STATE_KEY]["ema"]["the_other_weights"]
    final = networks(resumed)
    predicts, other = ("average", "student") if resumed.predicts_with_ema else ("student", "average")
    assert all(torch.equal(stored["network_weights"][key], tensor) for key, tensor in final[predicts].items())
    assert all(torch.equal(kept[key], tensor) for key, tensor in final[other].items())
