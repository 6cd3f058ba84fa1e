import numpy as np
import pytest

from nnunetv2_muduo.datasets.field_of_view import draw_field_of_view, outside_circle
from nnunetv2_muduo.datasets.tissues import Tissue

SPACING = (10.0, 10.0, 10.0)


@pytest.fixture
def person() -> np.ndarray:
    """A column of organs, a metre tall: bladder at 10 cm, belly 30 to 50, lungs 50 to 70, brain 80 to 95."""
    tissues = np.full((100, 3, 3), Tissue.SOFT, np.uint8)
    tissues[8:12, 1, 1] = Tissue.BLADDER
    tissues[30:40, 1, 1] = Tissue.KIDNEY
    tissues[40:50, 1, 1] = Tissue.LIVER
    tissues[50:70, 1, 1] = Tissue.LUNG
    tissues[80:95, 1, 1] = Tissue.BRAIN
    return tissues


def fields_of_view(tissues: np.ndarray, number: int = 60) -> list[slice]:
    return [
        draw_field_of_view(tissues, spacing_in_mm=SPACING, rng=np.random.default_rng(seed)) for seed in range(number)
    ]


def test_every_protocol_is_drawn_and_shows_what_it_says(person):
    seen = {"whole": 0, "eyes to thighs": 0, "chest and belly": 0}
    for field in fields_of_view(person):
        if field == slice(0, 100):
            seen["whole"] += 1
        elif field.start == 0:
            assert 82 <= field.stop <= 93
            seen["eyes to thighs"] += 1
        else:
            assert 24 <= field.start <= 37
            assert 63 <= field.stop <= 77
            seen["chest and belly"] += 1
    assert min(seen.values()) >= 8


def test_a_person_without_the_organs_a_protocol_goes_by_is_shown_whole():
    legs = np.full((100, 3, 3), Tissue.SOFT, np.uint8)
    assert set(map(str, fields_of_view(legs))) == {str(slice(0, 100))}


def test_no_scan_is_cut_shorter_than_a_quarter_of_a_metre():
    short = np.full((30, 3, 3), Tissue.LUNG, np.uint8)
    short[:15] = Tissue.LIVER
    for field in fields_of_view(short):
        assert field.stop - field.start >= 25
    tiny = short[13:17]
    assert set(map(str, fields_of_view(tiny))) == {str(slice(0, 4))}


def test_circle_lies_in_the_middle_of_the_image():
    outside = outside_circle((1, 11, 21), spacing_in_mm=(1.0, 10.0, 10.0), diameter_in_mm=100.0)
    assert outside.shape == (11, 21)
    np.testing.assert_array_equal(outside, outside[::-1, ::-1])
    np.testing.assert_array_equal(np.flatnonzero(~outside[5]), np.arange(5, 16))  # centres up to 50 mm off the middle
    assert (~outside).sum() == sum((y - 5) ** 2 + (x - 10) ** 2 <= 25 for y in range(11) for x in range(21))
