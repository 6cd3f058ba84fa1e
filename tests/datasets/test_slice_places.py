"""Slices that are no one volume are refused, and all others are let pass."""

from pathlib import Path

import numpy as np
import pytest

from nnunetv2_muduo.datasets.slice_places import check_slices
from nnunetv2_muduo.errors import UserError

FOLDER = Path("series")
UPRIGHT = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))
OBLIQUE = ((np.cos(0.2), np.sin(0.2), 0.0), (0.0, 0.0, -1.0))


def positions(heights, directions=UPRIGHT, *, aside=0.0, decimals=6) -> list[str]:
    """Of slices at heights (mm) along their normal; `aside`: how far they move along their columns for each mm."""
    normal, origin = np.cross(*directions), np.array([-20.0, -30.0, 5.0])
    places = [origin + height * normal + aside * height * np.array(directions[1]) for height in heights]
    return ["\\".join(f"{value:.{decimals}f}" for value in place) for place in places]


def orientations(number, directions=UPRIGHT, *, decimals=6) -> list[str]:
    return ["\\".join(f"{value:.{decimals}f}" for value in (*directions[0], *directions[1]))] * number


def check(heights, directions=UPRIGHT, **others) -> None:
    check_slices(positions(heights, directions, **others), orientations(len(heights), directions), FOLDER)


@pytest.mark.parametrize("directions", [UPRIGHT, CORONAL, OBLIQUE])
@pytest.mark.parametrize("heights", [range(0, 24, 3), range(24, 0, -3), (0, 3), (0,), ()])
def test_even_slices_pass_whatever_their_direction_and_number(directions, heights):
    check(heights, directions)


def test_rounding_is_neither_a_tilt_nor_a_gap():
    heights = np.arange(0, 60, 2.027)
    check_slices(positions(heights, OBLIQUE, decimals=2), orientations(len(heights), OBLIQUE, decimals=4), FOLDER)


@pytest.mark.parametrize("text", ["", "1\\2", "a\\b\\c", "nan\\0\\0", "inf\\0\\0"])
def test_slices_that_do_not_say_where_they_are_pass(text):
    check_slices([text, *positions((0, 7, 9))], orientations(4), FOLDER)
    check_slices(positions((0, 3, 6, 9)), [text, *orientations(3)], FOLDER)


@pytest.mark.parametrize(
    "heights",
    [(0, 3, 6, 9, 0), (0, 3, 6, 6, 3, 0), (0, 3, 6, 0, 3, 6), (0, 0, 3, 3), (5, 5)],
    ids=["a copy of the first", "a frame the other way round", "a second frame", "by turns", "no others"],
)
def test_two_slices_in_one_place_are_refused(heights):
    twice = len(heights) - len(set(heights))
    with pytest.raises(UserError, match=rf"^{twice} of the {len(heights)} DICOM slices of series lie where another"):
        check(heights)


def test_uneven_slices_are_refused():
    with pytest.raises(UserError, match=r"7 DICOM slices of series are 3 mm apart, but 1 of them from 3 to 6 mm"):
        check((0, 3, 6, 12, 15, 18, 21))
    with pytest.raises(UserError, match=r"3 mm apart, but 2 of them from 1.5 to 3 mm: some are missing or there twice"):
        check((0, 3, 6, 7.5, 9, 12, 15))


@pytest.mark.parametrize("place", [0, 3, 8])
def test_a_localiser_among_the_slices_is_refused(place):
    directions = orientations(8)
    directions.insert(place, *orientations(1, CORONAL))
    with pytest.raises(UserError, match=r"^1 of the 9 DICOM slices of series are not parallel to the others"):
        check_slices(positions(range(0, 27, 3)), directions, FOLDER)


@pytest.mark.parametrize("directions", [UPRIGHT, OBLIQUE])
def test_a_tilted_gantry_is_refused(directions):
    with pytest.raises(UserError, match=r"shifted against each other by .*%.*tilted gantry; .*dcm2niix"):
        check(range(0, 24, 3), directions, aside=np.tan(np.radians(2)))
