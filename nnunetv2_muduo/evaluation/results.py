"""What an evaluation found: metrics of all cases, and their means by stated rules."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.evaluation.organ_metrics import ABSENT, OrganMetrics
from nnunetv2_muduo.evaluation.task import Task

DISTANCES = ("HD95", "ASD")
PENALTIES = ("diagonal", "exclude")


@dataclass(frozen=True)
class CaseResult:
    """One case of one method.

    Attributes:
        case: name.
        prediction, reference: files.
        diagonal: of the image, mm: no two of its voxels are farther apart.
        organs: name -> metrics.
    """

    case: str
    prediction: Path
    reference: Path
    diagonal: float
    organs: dict[str, OrganMetrics]


@dataclass(frozen=True)
class Evaluation:
    """All cases of one method.

    Attributes:
        method: name.
        task: what was evaluated.
        cases: sorted by name.
        missed: what HD95 and ASD of an organ count as in means and differences where only one of the two masks has
            it: the `diagonal` of the image, or nothing (`exclude`).
    """

    method: str
    task: Task
    cases: tuple[CaseResult, ...]
    missed: str = "diagonal"

    def values(self, metric: str) -> np.ndarray:
        """[N, K] of a metric, as it counts in means; NaN where it does not."""
        found = np.array([[case.organs[organ].values[metric] for organ in self.task.organs] for case in self.cases])
        found = found.astype(float)
        if metric not in DISTANCES:
            return found
        instead = [[case.diagonal if self.missed == "diagonal" else np.nan] for case in self.cases]
        return np.where(np.isinf(found), instead, found)

    def absent(self) -> np.ndarray:
        """[N, K] bool: where neither the prediction nor the reference has the organ."""
        return np.array([[case.organs[organ].status == ABSENT for organ in self.task.organs] for case in self.cases])

    def means(self, metric: str) -> np.ndarray:
        """[K] mean over the cases; NaN where no case counts."""
        return mean_of(self.values(metric), axis=0)

    def deviations(self, metric: str) -> np.ndarray:
        """[K] standard deviation over the cases (n - 1); NaN for fewer than two."""
        return deviation_of(self.values(metric))

    def foreground_mean(self, metric: str) -> float:
        """Mean of the organs' means, as in nnU-Net, but without organs that no case counts for."""
        return float(mean_of(self.means(metric), axis=0))

    def foreground_deviation(self, metric: str) -> float:
        """Standard deviation over the cases of each case's mean over its organs (n - 1)."""
        return float(deviation_of(mean_of(self.values(metric), axis=1)[:, None])[0])

    def counts(self, status: str) -> np.ndarray:
        """[K] in how many cases an organ is found, missed, hallucinated or absent."""
        return np.array([sum(case.organs[organ].status == status for case in self.cases) for organ in self.task.organs])


def deviation_of(values: np.ndarray) -> np.ndarray:
    """[K] sample standard deviation of the columns of [N, K], without NaN."""
    columns = [column[~np.isnan(column)] for column in values.T]
    return np.array([column.std(ddof=1) if len(column) > 1 else np.nan for column in columns])
