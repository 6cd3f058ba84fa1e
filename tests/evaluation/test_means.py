"""Means are over what is there, and nothing is made up where nothing is."""

import numpy as np
import pytest

from nnunetv2_muduo.evaluation.means import mean_of

NAN = np.nan


@pytest.mark.filterwarnings("error")
def test_what_is_not_there_does_not_count():
    values = np.array([[1.0, NAN, 2.0], [3.0, NAN, NAN]])
    np.testing.assert_array_equal(mean_of(values, axis=0), [2.0, NAN, 2.0])
    np.testing.assert_array_equal(mean_of(values, axis=1), [1.5, 3.0])
    assert float(mean_of(values)) == 2.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("nothing", [[], [NAN], NAN])
def test_the_mean_of_nothing_is_nan(nothing):
    assert np.isnan(float(mean_of(nothing)))
