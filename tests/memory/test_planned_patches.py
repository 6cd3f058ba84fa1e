"""Sizes of patches are those of the trainer."""

import pytest
from planned_dataset import DATASET_JSON, unet_plans

from nnunetv2_muduo.memory.planned_patches import planned_patches
from nnunetv2_muduo.memory.training_host import LoadedPatches
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised


@pytest.mark.parametrize(("trainer", "unlabelled"), [(nnUNetTrainerMuDuo, 3), (nnUNetTrainerMuDuoSupervised, 0)])
def test_patches_are_those_of_the_trainer(trainer: type, unlabelled: int):
    plans = {**unet_plans(patch_size=(64, 64, 64)), "muduo": {"unlabelled_batch_size": 3}}
    found = planned_patches(trainer, plans, configuration="3d_fullres", dataset_json=DATASET_JSON, scan=(300, 100, 100))
    assert found == LoadedPatches(
        patch=(64, 64, 64),
        initial_patch=(102, 102, 102),  # nnU-Net's, for 30 degrees about each axis
        scan=(300, 100, 100),
        channels=2,
        batch=2,
        unlabelled_batch=unlabelled,
        target_voxels=64**3 + 32**3,
    )
