import numpy as np
import pytest
from scipy import stats

from nnunetv2_muduo.evaluation.bootstrap import bootstrap_means


def differences(cases: int = 12, organs: int = 3) -> np.ndarray:
    values = np.random.default_rng(0).normal(0.05, 0.1, (cases, organs))
    values[2, 1] = values[5, 0] = np.nan
    return values


def test_means_are_those_of_organs_and_of_their_means():
    values = differences()
    found = bootstrap_means(values, seed=0)
    assert found.mean[:-1] == pytest.approx(np.nanmean(values, axis=0))
    assert found.mean[-1] == pytest.approx(np.nanmean(values, axis=0).mean())
    assert found.cases.tolist() == [11, 11, 12, 12]


def test_interval_agrees_with_drawing_cases_one_by_one():
    values, rng = differences(), np.random.default_rng(1)
    draws = [values[rng.integers(0, len(values), len(values))] for _ in range(4000)]
    overall = [np.nanmean(np.nanmean(drawn, axis=0)) for drawn in draws]
    found = bootstrap_means(values, seed=0)
    assert (found.low[-1], found.high[-1]) == pytest.approx(np.percentile(overall, (2.5, 97.5)), abs=4e-3)


def test_interval_agrees_with_scipy():
    values = differences()[7:, 2:]
    plain = stats.bootstrap((values[:, 0],), np.mean, method="percentile", n_resamples=9999, random_state=0)
    found = bootstrap_means(values, seed=3)
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(plain.confidence_interval), abs=5e-3)


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    first, again, other = (bootstrap_means(differences(), seed=seed).low for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_organs_of_one_case_are_drawn_together():
    opposite = np.stack((np.arange(8.0), -np.arange(8.0)), axis=1)
    found = bootstrap_means(opposite, seed=0)
    assert (found.low[-1], found.high[-1]) == pytest.approx((0, 0), abs=1e-12)
    assert found.high[0] > 4


def test_one_case_or_none_has_no_interval():
    values = np.array([[0.1, np.nan, 0.2], [0.3, np.nan, np.nan]])
    found = bootstrap_means(values, seed=0)
    assert np.isnan(found.mean).tolist() == [False, True, False, False]
    assert np.isnan(found.low).tolist() == [False, True, True, False]
