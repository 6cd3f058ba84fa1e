"""Bq/ml to SUV."""

import pytest

from nnunetv2_muduo.datasets.suv import F18_HALF_LIFE_IN_S, Injection, suv_factor


def test_an_evenly_spread_dose_is_suv_one():
    weight_in_kg, dose = 70.0, 350e6
    concentration = dose / (weight_in_kg * 1000)  # a millilitre weighs a gram
    assert concentration * suv_factor(Injection(dose, weight_in_kg, 0.0)) == pytest.approx(1.0)


def test_after_one_half_life_half_the_activity_is_as_much():
    now, later = (suv_factor(Injection(350e6, 70.0, elapsed)) for elapsed in (0.0, F18_HALF_LIFE_IN_S))
    assert later == pytest.approx(2 * now)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ((350.0, 70.0, 3600.0), "MBq"),
        ((350e6, 0.0, 3600.0), "weight"),
        ((350e3, 70.0, 3600.0), "MBq"),
        ((350e12, 70.0, 3600.0), "MBq"),
        ((350e6, 70.0, -60.0), "not between 0 and 10 half-lives"),
        ((350e6, 70.0, 86400.0 - 3600.0), "swapped"),
        ((350e6, 70.0, 60.0, float("inf")), "half-life"),
        ((350e6, 70.0, 3600.0, 0.0), "half-life"),
        ((float("nan"), 70.0, 3600.0), "MBq"),
    ],
)
def test_implausible_values_are_named(values, word):
    assert word in (Injection(*values).problem() or "")
    assert Injection(350e6, 70.0, 3600.0).problem() is None


def test_a_nuclide_that_lives_for_days_may_be_imaged_days_later():
    assert Injection(37e6, 70.0, 4 * 86400.0, 282_240.0).problem() is None  # zirconium-89
