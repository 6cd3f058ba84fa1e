"""Boxes hold what they are to hold, and nothing more."""

import numpy as np

from nnunetv2_muduo.datasets.boxes import box_around, box_within, joint_box, middle_of

MASK = np.zeros((9, 9, 9), bool)
MASK[2, 3, 4] = MASK[5, 3, 8] = True
BOX = (slice(2, 6), slice(3, 4), slice(4, 9))


def test_a_box_reaches_from_the_first_voxel_to_the_last():
    assert box_around(MASK) == BOX
    assert box_around(MASK[::-1]) == (slice(3, 7), slice(3, 4), slice(4, 9))
    assert box_around(np.zeros((2, 3, 4), bool)) is None


def test_a_margin_ends_where_the_array_ends():
    assert box_around(MASK, margin=(3, 1, 2)) == (slice(0, 9), slice(2, 5), slice(2, 9))


def test_a_joint_box_holds_each_where_it_lies_within():
    other = (slice(0, 3), slice(5, 6), slice(4, 6))
    joint = joint_box([BOX, other])
    assert joint == (slice(0, 6), slice(3, 6), slice(4, 9))
    places = np.arange(9**3).reshape(9, 9, 9)
    for box in (BOX, other):
        assert np.array_equal(places[joint][box_within(joint, box)], places[box])


def test_the_middle_of_a_box_counts_from_the_near_edge_of_the_first_voxel():
    assert middle_of(BOX) == (4.0, 3.5, 6.5)
