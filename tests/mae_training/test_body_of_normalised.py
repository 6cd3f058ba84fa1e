import numpy as np
import pytest

from nnunetv2_muduo.mae_training.body_of_normalised import body_locations, threshold_between_two_classes


def scan() -> np.ndarray:
    """HU: a body of soft tissue with a lung and a bone, in air, beside a small table."""
    hu = np.full((20, 24, 24), -1000.0)
    hu[:, 4:18, 4:20] = 40
    hu[5:12, 8:14, 8:12] = -800
    hu[:, 15:17, 10:14] = 700
    hu[:, 21:23, 2:22] = -100
    return hu + np.random.default_rng(0).normal(0, 10, hu.shape)


def inside(locations: np.ndarray) -> np.ndarray:
    _, y, x = locations.T
    return (y >= 4) & (y < 18) & (x >= 4) & (x < 20)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.002, 1.3), (30.0, -4.0)])
def test_the_body_is_found_however_the_scan_was_normalised(scale, shift):
    hu = scan()
    expected = body_locations(hu, spacing_in_mm=(4, 4, 4), name="case")
    found = body_locations(hu * scale + shift, spacing_in_mm=(4, 4, 4), name="case")
    assert np.array_equal(found, expected)
    assert inside(found).all()
    assert len(found) == 2000


def test_the_threshold_lies_between_air_and_tissue():
    assert -700 < threshold_between_two_classes(scan()) < -150


def test_clipped_air_is_still_told_from_tissue():
    assert inside(body_locations(np.clip(scan(), -300, 300), spacing_in_mm=(4, 4, 4), name="case")).all()


def test_the_same_case_has_the_same_locations_and_another_has_others():
    first, again, other = (body_locations(scan(), spacing_in_mm=(4, 4, 4), name=name) for name in ("a", "a", "b"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_scan_that_is_the_same_everywhere_is_body_everywhere():
    assert len(body_locations(np.zeros((6, 6, 6)), spacing_in_mm=(4, 4, 4), name="case")) == 216
