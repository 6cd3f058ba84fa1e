"""Overlapping windows put together."""

import pytest
import torch

from nnunetv2_muduo.teachers.mosaic import blend, bounds

ORIGIN = (0, 0, 0)


def test_one_window_is_what_it_was():
    piece = torch.randn(8, 8, 8)
    values, covered = blend({ORIGIN: piece}, low=ORIGIN, high=ORIGIN)
    torch.testing.assert_close(values, piece)
    assert covered.all()


def test_what_all_windows_agree_on_stays():
    pieces = {(z, y, 0): torch.full((8, 8, 8), 3.0) for z in range(3) for y in range(2)}
    values, covered = blend(pieces, low=ORIGIN, high=(2, 1, 0))
    assert values.shape == (16, 12, 8)
    assert covered.all()
    torch.testing.assert_close(values, torch.full_like(values, 3.0))


def test_a_window_rules_in_its_middle_and_gives_way_at_its_border():
    values, _ = blend({ORIGIN: torch.zeros(8, 8, 8), (0, 0, 1): torch.ones(8, 8, 8)}, low=ORIGIN, high=(0, 0, 1))
    along = values[4, 4]
    assert along[:4].eq(0).all()
    assert along[8:].eq(1).all()
    assert along[4:8].diff().gt(0).all()
    assert float(along[4]) < 0.01
    torch.testing.assert_close(along[4:8], 1 - along[4:8].flip(0))


def test_windows_beside_the_box_count_where_they_reach_into_it():
    values, covered = blend({(1, 0, 0): torch.ones(4, 4, 4), (0, 5, 0): torch.ones(4, 4, 4)}, low=ORIGIN, high=ORIGIN)
    assert covered[2:].all()
    assert not covered[:2].any()
    assert values[2:].eq(1).all()
    assert values[:2].eq(0).all()


def test_bounds_hold_every_window():
    windows = dict.fromkeys([(0, 3, -1), (2, 0, 0)], torch.zeros(2, 2, 2))
    assert bounds(windows) == ((0, 0, -1), (2, 3, 0))


def test_nothing_cannot_be_blended():
    with pytest.raises(ValueError, match="nothing to blend"):
        blend({}, low=ORIGIN, high=ORIGIN)
