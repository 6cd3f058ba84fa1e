"""Training with `teacher_cache`, for real on a tiny phantom dataset."""

from pathlib import Path

import numpy as np
import pytest
import torch
from trainable_dataset import TrainableDataset

from nnunetv2_muduo.doctor.teacher_cache import check_teacher_cache
from nnunetv2_muduo.teacher_cache import building
from nnunetv2_muduo.teacher_cache.case import CachedCase
from nnunetv2_muduo.teacher_cache.of_trainers import cache_folder_of
from nnunetv2_muduo.teachers import ClickUNet
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo

SETTINGS = {
    "teacher_cache": True,
    "cache_tiles": 6,
    "num_epochs": 2,
    "iterations_per_epoch": 10,
    "prompt_epochs": 3,
    "optimizer": "adamw",
    "initial_lr": 0.01,
    "report_every": 2,
    "keep_fraction": 1.0,
    "consistency_weight": 1.0,
    "ramp_fraction": 0,
    "student_share": 0.3,
}


class WatchedTrainer(nnUNetTrainerMuDuo):
    """Counts the images that teachers encode during training steps, and stops where it is told to."""

    encoded_in_steps = 0
    stop_after: int | None = None

    def tell_of_orientations(self, stored) -> None:
        self.stored = stored
        super().tell_of_orientations(stored)

    def train_step(self, batch: dict) -> dict:
        self.batch = batch
        before = encoded["images"]
        outcome = super().train_step(batch)
        self.encoded_in_steps += encoded["images"] - before
        return outcome

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        if self.current_epoch == self.stop_after:
            raise KeyboardInterrupt


encoded = {"images": 0}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainableDataset:
    encode = ClickUNet.encode

    def counted(self: ClickUNet, image: torch.Tensor) -> torch.Tensor:
        encoded["images"] += len(image)
        return encode(self, image)

    monkeypatch.setattr(ClickUNet, "encode", counted)
    return TrainableDataset(tmp_path, monkeypatch)


def text_of_log(trainer: nnUNetTrainerMuDuo) -> str:
    return "\n".join(path.read_text() for path in Path(trainer.output_folder).glob("training_log*.txt"))


def test_no_step_runs_an_encoder_and_a_resumed_training_uses_the_same_cache(dataset, monkeypatch):
    first = dataset.trainer(WatchedTrainer, **SETTINGS)
    first.save_every, first.stop_after = 1, 1
    with pytest.raises(KeyboardInterrupt):
        first.run_training()
    first.dataloader_train.finish()
    assert "computing 2 case(s), at most 6 tiles each" in text_of_log(first)
    assert set(first.batch["unlabelled"]) == {"image", "clean", "evidence", "keys", "orientations", "tiles"}
    assert first.encoded_in_steps == 0
    assert first.own_answer(first.batch["unlabelled"]["clean"]).label_share == 0.3, "the student votes on cached tiles"
    logged = first.logger.get_checkpoint()
    assert np.isfinite(logged["consistency_losses"]).all()
    assert np.nanmax(logged["teacher_agreement"][0]) > 0, "the teachers were heard"
    assert np.isfinite(logged["report_ct_teacher"][0]).any(), "the report still asks the teachers"
    assert first.stored == dict.fromkeys([*first.labelled_cases, *first.unlabelled_scans.identifiers], "LPS")
    assert len(first.stored) == 4
    reported = [patches.orientations for patches, _ in first.monitor.report_patches]
    assert reported == [["LPS"] * len(patches.clean) for patches, _ in first.monitor.report_patches] != []
    assert (Path(first.output_folder) / "unlabelled_patch_epoch_0000.png").is_file()
    folder = cache_folder_of(first)
    assert folder.relative_to(dataset.preprocessed).parts == (
        "nnUNetPlans_3d_fullres_unlabelled_teacher_cache",
        "WatchedTrainer__nnUNetPlans__3d_fullres",
        "fold_0",
    )
    assert all(1 <= len(CachedCase(folder / case)) <= 6 for case in first.unlabelled_scans.identifiers)

    (check,) = check_teacher_cache(
        dataset.raw,
        dataset.preprocessed,
        plans=first.plans_manager.plans,
        configuration="3d_fullres",
        dataset_json=dataset.dataset_json,
        plans_identifier="nnUNetPlans",
    )
    assert "fold_0: 2 of 2 scans up to date" in check.found

    monkeypatch.setattr(building, "_evidence_at", None)  # nothing may be computed again
    resumed = dataset.trainer(WatchedTrainer, continues=True, **SETTINGS)
    resumed.load_checkpoint(str(Path(first.output_folder) / "checkpoint_latest.pth"))
    resumed.run_training()
    assert "0 computed now, 2 up to date" in text_of_log(resumed)
    assert resumed.current_epoch == 2
    assert len(resumed.logger.get_checkpoint()["consistency_losses"]) == 2
