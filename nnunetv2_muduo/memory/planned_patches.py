"""The patches that a trainer's loaders make, asked of the trainer itself."""

import math
from collections.abc import Sequence

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.cases.channels import channel_names
from nnunetv2_muduo.memory.throwaway_trainer import throwaway_trainer
from nnunetv2_muduo.memory.training_host import LoadedPatches
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer


def planned_patches(
    trainer_class: type[nnUNetTrainer], plans: dict, *, configuration: str, dataset_json: dict, scan: Sequence[int]
) -> LoadedPatches:
    """Sizes of a supervised trainer's patches, or of those of a semi-supervised one.

    Args:
        trainer_class: of the training.
        plans: nnU-Net's plans, with their settings.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        scan: (Z, Y, X) of the largest scan, preprocessed; the last axes count where patches have two.
    """
    made = throwaway_trainer(trainer_class, plans, configuration=configuration, dataset_json=dataset_json)
    with made as trainer:
        manager = trainer.configuration_manager
        patch = tuple(int(edge) for edge in manager.patch_size)
        initial = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()[2]
        scales = trainer._get_deep_supervision_scales() or [[1.0] * len(patch)]
        target = sum(math.prod(round(edge * of) for edge, of in zip(patch, scale, strict=True)) for scale in scales)
        return LoadedPatches(
            patch=patch,
            initial_patch=tuple(int(edge) for edge in initial),
            scan=tuple(scan)[-len(patch) :],
            channels=len(channel_names(dataset_json)),
            batch=manager.batch_size,
            unlabelled_batch=trainer.unlabelled_batch_size if isinstance(trainer, SemiSupervisedTrainer) else 0,
            target_voxels=target,
        )
