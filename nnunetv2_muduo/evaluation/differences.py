"""One method against another on the same cases: paired differences with confidence intervals."""

from dataclasses import dataclass

import numpy as np

from nnunetv2_muduo.evaluation.bootstrap import Interval, bootstrap_means
from nnunetv2_muduo.evaluation.results import Evaluation, mean_of


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

    Args:
        method, baseline: of the same cases and organs.
        metric: one of `OrganMetrics.values`.
        seed: of the bootstrap.
    """
    values = method.values(metric) - baseline.values(metric)
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
