"""One method against another on the same cases: paired differences with confidence intervals."""

from dataclasses import dataclass

import numpy as np

from nnunetv2_muduo.evaluation.bootstrap import Interval, bootstrap_means
from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.evaluation.results import Evaluation

_AT_BEST = {"Dice": 1.0, "IoU": 1.0, "HD95": 0.0, "ASD": 0.0}


@dataclass(frozen=True)
class Difference:
    """Of one metric.

    Attributes:
        metric: name.
        method, baseline: names; differences are method minus baseline.
        organs: K names.
        interval: of K organs and, last, their mean.
        higher, lower: [K + 1] in how many cases the method has the larger and the smaller value.
    """

    metric: str
    method: str
    baseline: str
    organs: tuple[str, ...]
    interval: Interval
    higher: np.ndarray
    lower: np.ndarray


def paired_difference(method: Evaluation, baseline: Evaluation, *, metric: str, seed: int) -> Difference:
    """Differences case by case and organ by organ, where both have a value.

    An organ that is not there has no value for a method that sees none, and a bad one for a method that makes it up:
    the former counts with the best value there is (Dice and IoU 1, distances 0), or the latter would get away with it.

    Args:
        method, baseline: of the same cases and organs.
        metric: one of `OrganMetrics.values`.
        seed: of the bootstrap.
    """
    values = _values(method, metric, against=baseline) - _values(baseline, metric, against=method)
    all_values = np.column_stack((values, mean_of(values, axis=1)))
    return Difference(
        metric,
        method.method,
        baseline.method,
        tuple(method.task.organs),
        bootstrap_means(values, seed=seed),
        (all_values > 0).sum(0),
        (all_values < 0).sum(0),
    )


def _values(method: Evaluation, metric: str, *, against: Evaluation) -> np.ndarray:
    """[N, K], with the best value where the method rightly sees nothing and the other one has a value."""
    values = method.values(metric)
    if metric not in _AT_BEST:
        return values
    rightly = method.absent() & ~against.absent()
    return np.where(rightly, _AT_BEST[metric], values)
