"""How a trainer's unlabelled patches lie before the student, drawn as nnU-Net draws it for its labelled ones."""

import numpy as np
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.distillation.spatial_view import SpatialView, draw_view


class StudentViews:
    """Draws a view for each batch of unlabelled patches.

    Args:
        trainer: whose patches they are; the range of angles, and whether they are turned in plane only, are nnU-Net's
            for its labelled patches.
    """

    def __init__(self, trainer: nnUNetTrainer) -> None:
        angles, self.in_plane, *_ = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.largest_angle = float(max(angles))
        plan = trainer.configuration_manager
        self.extent_in_mm = [size * step for size, step in zip(plan.patch_size, plan.spacing, strict=True)]
        self.generator = np.random.default_rng()

    def seed(self, seed: int | None) -> None:
        """Begin an epoch; None goes on drawing."""
        if seed is not None:
            self.generator = np.random.default_rng(seed)

    def draw(self, patches: int) -> SpatialView:
        return draw_view(
            patches,
            extent_in_mm=self.extent_in_mm,
            largest_angle=self.largest_angle,
            in_plane=self.in_plane,
            generator=self.generator,
        )
