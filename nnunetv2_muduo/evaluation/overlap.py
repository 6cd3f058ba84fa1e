"""How much two masks have in common, and how much they differ in size."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Overlap:
    """Voxels of a prediction and its reference.

    Attributes:
        tp: in both.
        fp: predicted only.
        fn: in the reference only.
    """

    tp: int
    fp: int
    fn: int

    @classmethod
    def of(cls, prediction: np.ndarray, reference: np.ndarray) -> "Overlap":
        """Of two bool arrays of one shape."""
        tp = int(np.count_nonzero(prediction & reference))
        return cls(tp, int(np.count_nonzero(prediction)) - tp, int(np.count_nonzero(reference)) - tp)

    @property
    def predicted(self) -> int:
        """Voxels of the prediction."""
        return self.tp + self.fp

    @property
    def referenced(self) -> int:
        """Voxels of the reference."""
        return self.tp + self.fn

    @property
    def dice(self) -> float:
        """2 tp / (2 tp + fp + fn), in [0, 1]; NaN where both are empty, 0 where one is."""
        return _ratio(2 * self.tp, self.predicted + self.referenced)

    @property
    def iou(self) -> float:
        """tp / (tp + fp + fn), in [0, 1]; NaN where both are empty, 0 where one is."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def relative_volume_difference(self) -> float:
        """RAVD, |predicted - reference| / reference, 0 at best, no upper bound; NaN where the reference is empty."""
        return _ratio(abs(self.predicted - self.referenced), self.referenced)


def dice_score(prediction: np.ndarray, reference: np.ndarray) -> float:
    """2 * overlap / (size + size) of two bool arrays; NaN where both are empty."""
    return Overlap.of(prediction, reference).dice


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
