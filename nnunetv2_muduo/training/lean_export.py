"""Logits of a whole body back on the scan's grid, one class after the other: nnU-Net's numbers in half its memory."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from numpy.typing import NDArray
from torch import Tensor

Resampling = Callable[..., NDArray | Tensor]


class LeanConfiguration(ConfigurationManager):
    """A configuration whose logits are resampled class by class; travels to nnU-Net's export processes."""

    @property
    def resampling_fn_probabilities(self) -> Resampling:
        return partial(resample_by_class, resample=super().resampling_fn_probabilities)


def resample_by_class(
    logits: NDArray | Tensor,
    new_shape: Sequence[int],
    current_spacing: Sequence[float],
    new_spacing: Sequence[float],
    *,
    resample: Resampling,
) -> NDArray | Tensor:
    """What `resample` makes of all classes at once, value for value.

    nnU-Net's function turns all classes into float64 first: of 13 classes on 80 million voxels 8 GB. The result's
    memory has the classes last, because numpy copies an array whose largest class is looked for along any other axis.

    Args:
        logits: [1 + K, Z, Y, X].
        new_shape: (Z, Y, X) of the result.
        current_spacing, new_spacing: (z, y, x) in mm.
        resample: one of nnU-Net's functions, which takes these arguments and treats each class by itself.

    Returns:
        [1 + K, Z, Y, X] in the dtype that `resample` returns; `logits` itself where the shape stays.
    """
    if tuple(logits.shape[1:]) == tuple(new_shape):
        return logits
    classes_first = logits.numpy() if isinstance(logits, Tensor) else logits
    result: NDArray | None = None
    for index in range(len(classes_first)):
        one = np.asarray(resample(classes_first[index : index + 1], new_shape, current_spacing, new_spacing)[0])
        if result is None:
            result = np.empty((*one.shape, len(classes_first)), dtype=one.dtype)
        result[..., index] = one
    assert result is not None
    return np.moveaxis(result, -1, 0)
