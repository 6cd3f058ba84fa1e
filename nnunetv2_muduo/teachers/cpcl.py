"""Cross prompting confident learning: what to believe of labels that are not to be trusted (METHODS.md, section 2).

SegAnyPET (arXiv 2502.14351) asks its network several times with different prompts. Where the answers disagree more than
on average, the given label is doubted. Pure functions: the answers come in as probabilities.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

READINGS = ("complement", "ensemble", "confident")
PUBLISHED_RECTIFIED_SHARE = 1 / 3  # (2 L(given) + L(rectified)) / 3
DOUBT_MARGIN = 0.3  # of soft Dice; keeps most good labels with a teacher of Dice 0.7 (benchmarks/cpcl_labels.py)


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


def uncertain_voxels(variance: Tensor, known: Tensor | None = None) -> Tensor:
    """Where the uncertainty exceeds its mean over the cube of its target: bool, shape of `variance` [..., X, Y, Z].

    Rounding errors of a constant uncertainty count as certain. The mean is that of the voxels that are `known` (bool,
    broadcast to `variance`; None: all), and no other is uncertain.
    """
    if known is None:
        known = torch.ones_like(variance, dtype=torch.bool)
    known = known.expand_as(variance)
    space = (-3, -2, -1)
    mean = (variance * known).sum(space, keepdim=True) / known.sum(space, keepdim=True).clamp_min(1)
    return known & (variance > mean + 1e-6)


def doubtful_targets(given: Tensor, mean: Tensor) -> Tensor:
    """Targets whose answers agree with one another by `DOUBT_MARGIN` of soft Dice better than with the given label.

    How well the answers agree with one another is the soft Dice of their mean with its own decision (> 0.5): 1 where
    all say the same, less where they waver.

    Args:
        given: bool [..., X, Y, Z].
        mean: of the answers' probabilities, same shape.

    Returns:
        bool [...].
    """
    return _soft_dice(mean, mean > 0.5) - _soft_dice(mean, given) > DOUBT_MARGIN


def _soft_dice(probabilities: Tensor, mask: Tensor) -> Tensor:
    """[...] of two [..., X, Y, Z]; 0 where both are empty."""
    shared = (probabilities * mask).flatten(-3).sum(-1)
    total = probabilities.flatten(-3).sum(-1) + mask.flatten(-3).sum(-1)
    return 2 * shared / total.clamp_min(1e-6)


def rectified_labels(
    given: Tensor, mean: Tensor, variance: Tensor, *, reading: str, known: Tensor | None = None
) -> Tensor:
    """The given labels, changed where the answers tell so.

    Args:
        given: bool [..., X, Y, Z], the labels of the dataset.
        mean, variance: of the answers' probabilities, same shape.
        reading: "complement" turns uncertain voxels over, as the published formula says; "ensemble" lets the mean
            decide there (> 0.5); "confident", which is ours, does the reverse: the mean decides where the answers are
            certain, in doubtful targets only.
        known: bool, broadcast to the others; voxels outside, which the dataset tells nothing about, are no reason for
            doubt and keep their label. None: all are known.

    Returns:
        bool, same shape; a target that would lose all its voxels that are known keeps its given label.

    Raises:
        ValueError: for another reading.
    """
    if reading not in READINGS:
        raise ValueError(f"unknown reading {reading!r}; known are {', '.join(READINGS)}")
    known = torch.ones_like(given) if known is None else known.expand_as(given)
    uncertain, decided = uncertain_voxels(variance, known), mean > 0.5
    if reading == "confident":
        doubtful = doubtful_targets(given & known, mean * known)[..., None, None, None]
        rectified = torch.where(known & ~uncertain & doubtful, decided, given)
    else:
        rectified = torch.where(uncertain, ~given if reading == "complement" else decided, given)
    lost = ~(rectified & known).flatten(-3).any(-1)[..., None, None, None]
    return torch.where(lost, given, rectified)
