from types import SimpleNamespace

import numpy as np
import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.distillation.spatial_view import MotionRanges
from nnunetv2_muduo.semisupervised.student_views import StudentViews


@pytest.mark.parametrize(("patch_size", "in_plane", "degrees"), [((16, 16, 20), False, 30), ((4, 16, 20), True, 180)])
def test_unlabelled_patches_move_as_often_and_as_far_as_nnunets_labelled_ones(patch_size, in_plane, degrees):
    trainer = nnUNetTrainer.__new__(nnUNetTrainer)  # no more of it than decides on augmentation
    trainer.configuration_manager = SimpleNamespace(patch_size=patch_size, spacing=(3.0, 2.0, 1.5))
    trainer.print_to_log_file = lambda *told: None
    views = StudentViews(trainer)
    assert views.ranges == MotionRanges(0.2, pytest.approx(np.radians(degrees)), 0.2, (0.7, 1.4), in_plane)
    assert views.extent_in_mm == [patch_size[0] * 3.0, 32.0, 30.0]
