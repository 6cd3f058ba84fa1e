"""What a pretraining is not let do once it is under way: predict, or go on as something else than it began."""

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.trainer_folder import trainer_folder


def test_nnunet_is_not_let_predict_with_it(dataset, monkeypatch):
    trainer = dataset.trainer()
    trainer.run_training()
    monkeypatch.setenv("nnUNet_extTrainer", str(trainer_folder()))
    predictor = nnUNetPredictor(device=torch.device("cpu"))
    with pytest.raises(UserError, match="segments nothing; use its checkpoint with -pretrained_weights"):
        predictor.initialize_from_trained_model_folder(trainer.output_folder_base, use_folds=("all",))


def test_processes_that_nobody_connects_are_refused(dataset, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UserError, match=r"4 processes were started together, .* -num_gpus N"):
        dataset.trainer()


def test_continuing_with_other_settings_is_refused(dataset, tmp_path):
    trainer = dataset.trainer()
    trainer.initialize()
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    with pytest.raises(UserError, match=r"'mae.ratio' was 0.5 .* now 0.75"):
        dataset.trainer(continues=True, ratio=0.75).load_checkpoint(str(tmp_path / "checkpoint.pth"))
    dataset.trainer(continues=True, report_every=3).load_checkpoint(str(tmp_path / "checkpoint.pth"))
    stored = torch.load(tmp_path / "checkpoint.pth", weights_only=False)
    del stored["mae_state"]
    torch.save(stored, tmp_path / "stock.pth")
    with pytest.raises(UserError, match="-pretrained_weights"):
        dataset.trainer(continues=True).load_checkpoint(str(tmp_path / "stock.pth"))


def test_continuing_with_other_plans_or_cases_is_refused_by_name(dataset, tmp_path):
    checkpoint = str(tmp_path / "checkpoint.pth")
    started = dataset.trainer()
    started.initialize()
    started.save_checkpoint(checkpoint)
    network = dataset.plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    planned, network["features_per_stage"] = network["features_per_stage"], [8, 8, 8]
    with pytest.raises(UserError, match=r"features_per_stage' was \[4, 8, 16\] .* now \[8, 8, 8\]"):
        dataset.trainer(continues=True).load_checkpoint(checkpoint)
    network["features_per_stage"] = planned
    for channel, file in enumerate(sorted((dataset.raw / "imagesUn").iterdir())[:2]):
        file.rename(file.with_name(f"another_{channel:04d}.nii.gz"))
    with pytest.raises(UserError, match=r"not those that this pretraining began with \(new: another; gone: \w+"):
        dataset.trainer(continues=True).load_checkpoint(checkpoint)
