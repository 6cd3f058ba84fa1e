"""Slices that are no one volume are refused, and all others are let pass."""

import numpy as np
import pytest

from nnunetv2_muduo.datasets.slice_places import check_acquisitions, check_slices
from nnunetv2_muduo.errors import UserError

FILES = [f"series/{number}.dcm" for number in range(300)]
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
    check_slices(positions(heights, directions, **others), orientations(len(heights), directions), FILES)


@pytest.mark.parametrize("directions", [UPRIGHT, CORONAL, OBLIQUE])
@pytest.mark.parametrize("heights", [range(0, 24, 3), range(24, 0, -3), (0, 3), (0,), ()])
def test_even_slices_pass_whatever_their_direction_and_number(directions, heights):
    check(heights, directions)


def test_rounding_is_neither_a_tilt_nor_a_gap():
    heights = np.arange(0, 60, 2.027)
    check_slices(positions(heights, OBLIQUE, decimals=2), orientations(len(heights), OBLIQUE, decimals=4), FILES)


@pytest.mark.parametrize("text", ["", "1\\2", "a\\b\\c", "nan\\0\\0", "inf\\0\\0"])
def test_slices_that_do_not_say_where_they_are_pass(text):
    check_slices([text, *positions((0, 7, 9))], orientations(4), FILES)
    check_slices(positions((0, 3, 6, 9)), [text, *orientations(3)], FILES)


@pytest.mark.parametrize(
    "heights",
    [(0, 3, 6, 9, 0), (0, 3, 6, 6, 3, 0), (0, 3, 6, 0, 3, 6), (0, 0, 3, 3), (5, 5)],
    ids=["a copy of the first", "a frame the other way round", "a second frame", "by turns", "no others"],
)
def test_two_slices_in_one_place_are_refused(heights):
    twice = len(heights) - len(set(heights))
    with pytest.raises(UserError, match=rf"^{twice} of the {len(heights)} DICOM slices of series lie where another"):
        check(heights)
    with pytest.raises(UserError, match=r"such as 1\.dcm and 3\.dcm, as copies"):
        check((0, 3, 6, 3))


@pytest.mark.parametrize(
    ("heights", "words"),
    [
        ((0, 3, 6, 12, 15, 18, 21), "3 to 6 mm apart, and would lie up to 1.5 mm off their places"),
        ((0, 3, 6, 7.5, 9, 12, 15), "1.5 to 3 mm apart"),
        (np.delete(np.arange(300), 298), "1 to 2 mm apart"),
        (np.delete(np.arange(300), 1), "1 to 2 mm apart"),
        (np.cumsum([3.0] * 30 + [3.27] * 30), "3 to 3.27 mm apart, and would lie up to 4 mm off"),
    ],
    ids=["one is missing", "one in between", "last but one", "the second", "a little, over a long way"],
)
def test_uneven_slices_are_refused(heights, words):
    with pytest.raises(UserError, match=rf"slices of series are not evenly spaced but {words}.*copy the series again"):
        check(heights)


def test_a_slice_that_is_shifted_aside_is_refused():
    places = positions(range(0, 24, 3))
    places[4] = positions([12], aside=0.1)[0]
    with pytest.raises(UserError, match=r"up to 1\.2 mm off their places"):
        check_slices(places, orientations(8), FILES)


def test_acquisitions_may_follow_but_not_interleave_each_other():
    check_acquisitions(["2", "2", "1", "3", "3"], FILES)
    check_acquisitions([""] * 5, FILES)
    with pytest.raises(
        UserError, match=r"^The 4 DICOM slices of series .*AcquisitionNumber '1', '2'\) .* between each"
    ):
        check_acquisitions(["1", "2", "1", "2"], FILES)


@pytest.mark.parametrize("place", [0, 3, 8])
def test_a_localiser_among_the_slices_is_refused(place):
    directions = orientations(8)
    directions.insert(place, *orientations(1, CORONAL))
    with pytest.raises(UserError, match=rf"^1 of the 9 DICOM slices of series, such as {place}\.dcm, are not parallel"):
        check_slices(positions(range(0, 27, 3)), directions, FILES)


@pytest.mark.parametrize(("degrees", "heights"), [(2, range(0, 24, 3)), (0.2, range(0, 600, 3))])
@pytest.mark.parametrize("directions", [UPRIGHT, OBLIQUE])
def test_a_tilted_gantry_is_refused_where_it_comes_to_something(directions, degrees, heights):
    with pytest.raises(UserError, match=r"shifted against each other by .*%.*tilted gantry; .*dcm2niix"):
        check(heights, directions, aside=np.tan(np.radians(degrees)))
