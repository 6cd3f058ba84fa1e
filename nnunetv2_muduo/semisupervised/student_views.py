"""How a trainer's unlabelled patches lie before the student: turned and scaled as far as its labelled ones."""

import numpy as np
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.distillation.spatial_view import MotionRanges, SpatialView, draw_view


class StudentViews:
    """Draws a view for each batch of unlabelled patches.

    Args:
        trainer: whose patches they are.
    """

    def __init__(self, trainer: nnUNetTrainer) -> None:
        self.ranges = motion_ranges_of(trainer)
        plan = trainer.configuration_manager
        self.extent_in_mm = [size * step for size, step in zip(plan.patch_size, plan.spacing, strict=True)]
        self.generator = np.random.default_rng()

    def seed(self, seed: int | None) -> None:
        """Begin an epoch; None goes on drawing."""
        if seed is not None:
            self.generator = np.random.default_rng(seed)

    def draw(self, patches: int) -> SpatialView:
        """A view of so many patches, each moved by itself."""
        return draw_view(patches, ranges=self.ranges, extent_in_mm=self.extent_in_mm, generator=self.generator)


def motion_ranges_of(trainer: nnUNetTrainer) -> MotionRanges:
    """Those of the transform that nnU-Net makes for the trainer's labelled patches."""
    angles, in_plane, _, mirror_axes = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    patch_size = trainer.configuration_manager.patch_size
    transforms = trainer.get_training_transforms(patch_size, angles, None, mirror_axes, in_plane).transforms
    (spatial,) = (transform for transform in transforms if isinstance(transform, SpatialTransform))
    return MotionRanges(spatial.p_rotation, max(spatial.rotation), spatial.p_scaling, spatial.scaling, in_plane)
