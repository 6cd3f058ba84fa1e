"""The box around the patient."""

import numpy as np
import pytest

from nnunetv2_muduo.datasets.body_box import body_box, largest_component
from nnunetv2_muduo.errors import UserError


def a_ct() -> np.ndarray:
    """Air with a body at [8:14, 6:20, 5:25] and a smaller table below."""
    ct = np.full((20, 30, 32), -1000.0)
    ct[8:14, 6:20, 5:25] = 40
    ct[:, 26:28, 10:14] = 200
    return ct


def test_box_holds_the_largest_component_and_a_margin_of_three_voxels():
    assert body_box(a_ct()) == (slice(5, 17), slice(3, 23), slice(2, 28))


def test_margin_ends_at_the_border_of_the_scan():
    assert body_box(a_ct(), padding=7) == (slice(1, 20), slice(0, 27), slice(0, 32))


def test_threshold_itself_is_not_body():
    ct = a_ct()
    ct[ct == 40] = -500
    assert body_box(ct) == (slice(0, 20), slice(23, 30), slice(7, 17))


def test_scan_without_a_body_is_refused():
    with pytest.raises(UserError, match="nothing above -500 HU"):
        body_box(np.full((4, 4, 4), -1000.0))


def test_parts_that_touch_by_an_edge_only_are_apart():
    mask = np.zeros((2, 4, 4), bool)
    mask[:, :2, :2] = mask[0, 2, 2] = True
    assert largest_component(mask).sum() == 8
