"""`nnUNetv2_train --val_best` where the average predicts: what is validated is what checkpoint_best.pth predicts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as stock
from trainable_dataset import TrainableDataset

from nnunetv2_muduo.trainer_folder import trainer_folder
from nnunetv2_muduo.trainers.nnUNetTrainerCPS import nnUNetTrainerCPS

pytestmark = pytest.mark.slow

CASE = "phantom_001"  # that fold 0 validates on
SETTINGS = {"num_epochs": 2, "predict_with": "ema", "optimizer": "adamw"}


class FirstIsBest(nnUNetTrainerCPS):
    """Its second epoch is never the best, so that its best checkpoint is not its last."""

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        self._best_ema = np.inf


FirstIsBest.__name__ = nnUNetTrainerCPS.__name__


def probabilities(dataset: TrainableDataset, model: Path, checkpoint: str) -> np.ndarray:
    """[C, Z, Y, X] of the model as nnUNetv2_predict loads it."""
    predictor = nnUNetPredictor(device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(model), use_folds=(0,), checkpoint_name=checkpoint)
    files = [str(dataset.raw / "imagesTr" / f"{CASE}_{channel:04d}.nii.gz") for channel in (0, 1)]
    image, properties = SimpleITKIO().read_images(files)
    return predictor.predict_single_npy_array(image, properties, save_or_return_probabilities=True)[1]


def test_the_best_average_is_validated_after_the_training_and_by_val_alone(tmp_path, monkeypatch: pytest.MonkeyPatch):
    dataset = TrainableDataset(tmp_path, monkeypatch)
    monkeypatch.setenv("nnUNet_extTrainer", str(trainer_folder()))
    monkeypatch.setattr(stock, "default_num_processes", 1)
    (dataset.preprocessed / "gt_segmentations").symlink_to(dataset.raw / "labelsTr")
    trained = dataset.trainer(FirstIsBest, **SETTINGS)
    trained.run_training()
    alone = dataset.trainer(nnUNetTrainerCPS, **SETTINGS)
    fold = Path(trained.output_folder)
    alone.load_checkpoint(str(fold / "checkpoint_final.pth"))
    best, final = (probabilities(dataset, fold.parent, f"checkpoint_{name}.pth") for name in ("best", "final"))
    assert np.abs(best - final).max() > 0.01
    for trainer in (trained, alone):
        trainer.load_checkpoint(str(fold / "checkpoint_best.pth"))
        trainer.perform_actual_validation(save_probabilities=True)
        file = fold / "validation" / f"{CASE}.npz"
        np.testing.assert_allclose(np.load(file)["probabilities"], best, atol=1e-3)
        file.unlink()
