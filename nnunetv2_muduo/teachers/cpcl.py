"""Cross prompting confident learning: what to believe of labels that are not to be trusted (METHODS.md, section 2).

SegAnyPET (arXiv 2502.14351) asks its network several times with different prompts. Where the answers disagree more than
on average, the given label is doubted. Pure functions: the answers come in as probabilities.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

READINGS = ("complement", "ensemble")
GIVEN_WEIGHT, RECTIFIED_WEIGHT = 2 / 3, 1 / 3  # (2 L(given) + L(rectified)) / 3


@dataclass
class Ensemble:
    """Running mean and mean square of the answers, so that no more than two volumes are kept for any number of them.

    Answers are probabilities of any one shape, [B, K, X, Y, Z] in training.
    """

    count: int = 0
    total: Tensor | None = None
    squares: Tensor | None = None

    def add(self, probabilities: Tensor) -> None:
        """Take one more answer into account."""
        answer = probabilities.detach().float()
        self.total = answer.clone() if self.total is None else self.total + answer
        self.squares = answer.square() if self.squares is None else self.squares + answer.square()
        self.count += 1

    @property
    def mean(self) -> Tensor:
        """Mean of the answers.

        Raises:
            ValueError: if there was none.
        """
        if self.total is None:
            raise ValueError("no answer was added to the ensemble")
        return self.total / self.count

    @property
    def variance(self) -> Tensor:
        """Variance of the answers, divided by their number: the uncertainty.

        Raises:
            ValueError: if there was none.
        """
        mean = self.mean
        assert self.squares is not None  # set together with the total
        return (self.squares / self.count - mean.square()).clamp_min(0)


def uncertain_voxels(variance: Tensor) -> Tensor:
    """Where the uncertainty exceeds its mean over the cube of its target: bool, shape of `variance` [..., X, Y, Z].

    Rounding errors of a constant uncertainty count as certain.
    """
    mean = variance.mean(dim=(-3, -2, -1), keepdim=True)
    return variance > mean + 1e-6


def rectified_labels(given: Tensor, mean: Tensor, variance: Tensor, *, reading: str) -> Tensor:
    """The given labels, changed where the answers are uncertain.

    Args:
        given: bool [..., X, Y, Z], the labels of the dataset.
        mean, variance: of the answers' probabilities, same shape.
        reading: "complement" turns uncertain voxels over, as the published formula says; "ensemble" lets the mean
            decide there (> 0.5).

    Returns:
        bool, same shape; a target that would lose all its voxels keeps its given label.

    Raises:
        ValueError: for another reading.
    """
    if reading not in READINGS:
        raise ValueError(f"unknown reading {reading!r}; known are {', '.join(READINGS)}")
    instead = ~given if reading == "complement" else mean > 0.5
    rectified = torch.where(uncertain_voxels(variance), instead, given)
    lost = ~rectified.flatten(-3).any(-1)[..., None, None, None]
    return torch.where(lost, given, rectified)
