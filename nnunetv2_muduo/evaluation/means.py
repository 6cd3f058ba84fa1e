"""Means over what is there."""

import numpy as np
from numpy.typing import ArrayLike


def mean_of(values: ArrayLike, *, axis: int | None = None) -> np.ndarray:
    """Mean of what is not NaN; NaN, without a warning, where all is."""
    values = np.asarray(values, dtype=float)
    there = ~np.isnan(values)
    count = np.asarray(there.sum(axis))
    total = np.asarray(np.where(there, values, 0.0).sum(axis))
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
