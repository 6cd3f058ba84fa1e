"""How sure a mean difference is: a bootstrap over the cases."""

from dataclasses import dataclass

import numpy as np

_DRAWS = 10_000
_ENDS_IN_PER_CENT = (2.5, 97.5)  # of the 95 % interval


@dataclass(frozen=True)
class Interval:
    """Means with a confidence interval; the last entry is the mean over the organs.

    Attributes:
        mean: [K + 1].
        low, high: [K + 1] ends of the interval; NaN where fewer than two cases count.
        cases: [K + 1] how many cases count; for the last entry those with any organ.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    cases: np.ndarray


def bootstrap_means(differences: np.ndarray, *, seed: int) -> Interval:
    """Mean over cases of each organ, and the mean of these means, with 95 % percentile bootstrap intervals.

    Whole cases are drawn with replacement, so that organs of one patient stay together (Efron and Tibshirani 1993,
    chapter 13). An organ that none of the drawn cases has is left out of that draw.

    Args:
        differences: [N, K] one value for each case and organ; NaN where there is none.
        seed: of the draws.
    """
    there = ~np.isnan(differences)
    cases = np.append(there.sum(0), there.any(1).sum())
    mean = _means(np.ones((1, len(differences))), differences)[0]
    drawn = np.random.default_rng(seed).multinomial(
        len(differences), np.full(len(differences), 1 / len(differences)), size=_DRAWS
    )
    statistics = _means(drawn.astype(float), differences)
    ends = [
        np.nanpercentile(column, _ENDS_IN_PER_CENT) if count > 1 else (np.nan, np.nan)
        for column, count in zip(statistics.T, cases, strict=True)
    ]
    low, high = np.array(ends).T
    return Interval(mean, low, high, cases)


def _means(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[R, K + 1] weighted means over the cases and, last, their plain mean; NaN where nothing counts.

    Args:
        weights: [R, N] how often each case counts.
        values: [N, K], NaN for what is not there.
    """
    there = ~np.isnan(values)
    organs = _quotient(weights @ np.where(there, values, 0.0), weights @ there.astype(float))
    found = ~np.isnan(organs)
    overall = _quotient(np.where(found, organs, 0.0).sum(1), found.sum(1).astype(float))
    return np.column_stack((organs, overall))


def _quotient(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
