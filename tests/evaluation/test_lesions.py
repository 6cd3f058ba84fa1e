import numpy as np
from scipy.ndimage import generate_binary_structure, label

from nnunetv2_muduo.evaluation.lesions import untouched_voxels


def one_by_one(mask: np.ndarray, other: np.ndarray) -> int:
    """The definition: component after component, found by another library."""
    components, count = label(mask, generate_binary_structure(3, 2))
    parts = [components == n for n in range(1, count + 1)]
    return sum(int(part.sum()) for part in parts if not (part & other).any())


def test_lesion_that_is_touched_in_one_voxel_counts_as_found():
    mask, other = np.zeros((4, 6, 8), bool), np.zeros((4, 6, 8), bool)
    mask[0, 0, :3] = mask[3, 3:5, 5:7] = True
    other[0, 0, 2] = True
    assert untouched_voxels(mask, other) == 4


def test_voxels_that_share_an_edge_are_one_lesion_and_those_that_share_a_corner_are_two():
    edge, corner, other = (np.zeros((3, 3, 3), bool) for _ in range(3))
    edge[0, 0, 0] = edge[0, 1, 1] = True
    corner[0, 0, 0] = corner[1, 1, 1] = True
    other[0, 0, 0] = True
    assert untouched_voxels(edge, other) == 0
    assert untouched_voxels(corner, other) == 1


def test_random_lesions_agree_with_looking_at_them_one_by_one():
    for seed in range(5):
        mask, other = (np.random.default_rng((seed, k)).random((8, 9, 10)) < 0.08 for k in range(2))
        assert untouched_voxels(mask, other) == one_by_one(mask, other) > 0


def test_nothing_is_untouched_where_there_is_nothing():
    empty = np.zeros((3, 3, 3), bool)
    assert untouched_voxels(empty, ~empty) == 0
    assert untouched_voxels(~empty, empty) == 27
