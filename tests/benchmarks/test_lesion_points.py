"""The counts of the benchmark of points in lesions."""

import numpy as np
from lesion_points import Count, Scan, table_row, with_strays

from nnunetv2_muduo.pseudo_labelling.dual_scan import Geometry

GEOMETRY = Geometry((10.0, 10.0, 10.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
TOTAL = Count(lesions=8, pointed_at=4, touched=6, shared=3.0, claimed=5.0, true=7.0, made_up=1.0)


def test_stray_voxels_are_hot_and_beside_the_lesions():
    pet = np.random.default_rng(0).random((10, 20, 20)).astype(np.float32)
    lesions = pet > 0.999
    scan = Scan("a", pet, lesions, GEOMETRY)
    strays = with_strays(scan, 3) & ~lesions
    assert strays.sum() == 3
    assert (pet[strays] > 0.98).all()
    assert (with_strays(scan, 0) == lesions).all()


def test_a_row_is_of_all_scans_together_and_volumes_are_of_one_scan():
    assert Count(16, 8, 12, 6.0, 10.0, 14.0, 2.0) == TOTAL + TOTAL
    assert table_row("spread", 3, 0, TOTAL, 4) == ["0", "spread", "3", "0.50", "0.75", "0.500", "0.2"]
