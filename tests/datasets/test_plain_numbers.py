"""Texts of headers are numbers altogether, or none."""

import pytest

from nnunetv2_muduo.datasets.plain_numbers import plain_numbers


def test_numbers_are_read_as_they_are_written():
    assert plain_numbers(" 1 -2.5  .5 3e-1", 4) == (1.0, -2.5, 0.5, 0.3)
    assert plain_numbers("1, 2,3", 3, separator=",") == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("text", ["", "1", "1 2 3", "1 text", "1 1,5", "1 0x10", "1 nan", "1 inf", "1 1e400", "1 1_0"])
def test_whatever_else_is_none(text):
    assert plain_numbers(text, 2) is None
