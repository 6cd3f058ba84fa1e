"""What a heap that keeps what is freed comes to hold."""

from nnunetv2_muduo.memory.kept_places import GIVEN_BACK_ABOVE, KeptPlaces

LARGE = GIVEN_BACK_ABOVE + 1


def peak_of(*changes: int) -> int:
    """Of arrays that are taken and, where the size is negative, freed, in this order."""
    places = KeptPlaces()
    for size in changes:
        if size > 0:
            places.take(size)
        else:
            places.free(-size)
    return places.peak


def test_place_serves_the_next_array_of_its_size():
    assert peak_of(100, -100, 100, -100, 100) == 100
    assert peak_of(100, 100, -100, 100) == 200


def test_place_serves_no_other_size():
    assert peak_of(100, -100, 90, -90, 110) == 300


def test_more_places_are_made_where_more_are_held_at_once():
    assert peak_of(100, -100, 100, 100, -100, -100, 100, 100, 100) == 300


def test_arrays_above_32_mib_are_held_as_long_as_they_are_used():
    assert peak_of(LARGE, -LARGE, LARGE + 1, -LARGE - 1, LARGE) == LARGE + 1
    assert peak_of(LARGE, -LARGE, LARGE, 100) == LARGE + 100
    assert peak_of(GIVEN_BACK_ABOVE, -GIVEN_BACK_ABOVE, LARGE) == GIVEN_BACK_ABOVE + LARGE


def test_peak_outlives_large_arrays():
    assert peak_of(LARGE, 100, -LARGE, 50) == LARGE + 100
