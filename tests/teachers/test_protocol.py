"""What a teacher says of its cube is checked when it says it."""

import math

import pytest

from nnunetv2_muduo.teachers.protocol import TeacherSpec

SPEC = {"cube_size": 16, "mask_size": 8, "spacing_in_mm": 1.5, "orientation": "LPS"}


@pytest.mark.parametrize("orientation", ["RAS", "LPI", "SAR", "PSL"])
def test_any_order_of_the_patients_axes_is_an_orientation(orientation: str):
    assert TeacherSpec(**SPEC | {"orientation": orientation}).orientation == orientation


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("cube_size", value) for value in (0, -3, 1.5, "16", None)),
        *(("mask_size", value) for value in (0, [8])),
        *(("spacing_in_mm", value) for value in (0, math.nan, math.inf, "8", [1.5, 1.5, 1.5])),
        *(("orientation", value) for value in ("", "LP", "LPSA", "LRS", "XYZ", "lps", 3, None)),
    ],
)
def test_what_is_no_number_or_orientation_is_refused_by_name(key: str, value: object):
    with pytest.raises(ValueError, match=f"{key} is "):
        TeacherSpec(**SPEC | {key: value})
