"""All metrics of one case, organ by organ."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy.ndimage import find_objects

from nnunetv2_muduo.datasets.boxes import joint_box
from nnunetv2_muduo.evaluation.lesions import untouched_voxels
from nnunetv2_muduo.evaluation.overlap import Overlap
from nnunetv2_muduo.evaluation.surfaces import surface_distances

FOUND, MISSED, HALLUCINATED, ABSENT = "found", "missed", "hallucinated", "absent"
STATUSES = (FOUND, MISSED, HALLUCINATED, ABSENT)
_MM3_PER_ML = 1000.0
_ONE_VOXEL = (slice(0, 1),) * 3  # stands for the box of what is nowhere


@dataclass(frozen=True)
class OrganMetrics:
    """One organ of one case.

    Attributes:
        overlap: voxels in common and not.
        tn: voxels in neither (and not ignored).
        hd95, asd: surface distances in mm; infinite where the organ is missed or hallucinated, NaN where it is absent.
        voxel_ml: volume of a voxel.
        fpv, fnv: autoPET's false-positive and false-negative volume in ml; NaN for what is no lesion.
    """

    overlap: Overlap
    tn: int
    hd95: float
    asd: float
    voxel_ml: float
    fpv: float
    fnv: float

    @property
    def status(self) -> str:
        """`found` (in both), `missed` (not predicted at all), `hallucinated` (not in the reference) or `absent`."""
        if self.overlap.referenced:
            return FOUND if self.overlap.predicted else MISSED
        return HALLUCINATED if self.overlap.predicted else ABSENT

    @property
    def values(self) -> dict[str, float]:
        """Metric -> value, the first eight under nnU-Net's names."""
        overlap = self.overlap
        return {
            "Dice": overlap.dice,
            "IoU": overlap.iou,
            "TP": overlap.tp,
            "FP": overlap.fp,
            "FN": overlap.fn,
            "TN": self.tn,
            "n_pred": overlap.predicted,
            "n_ref": overlap.referenced,
            "HD95": self.hd95,
            "ASD": self.asd,
            "RAVD": overlap.relative_volume_difference,
            "volume_ref_ml": overlap.referenced * self.voxel_ml,
            "volume_pred_ml": overlap.predicted * self.voxel_ml,
            "FPV_ml": self.fpv,
            "FNV_ml": self.fnv,
        }


def measure_case(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    organs: Mapping[str, tuple[int, ...]],
    spacing_in_mm: Sequence[float],
    lesions: Collection[str] = (),
    ignore_label: int | None = None,
) -> dict[str, OrganMetrics]:
    """Organ -> metrics of a label map.

    Args:
        prediction, reference: [Z, Y, X] label maps of integers, not negative.
        organs: name -> the labels that make it up; several for one of nnU-Net's regions.
        spacing_in_mm: (z, y, x).
        lesions: organs to count false-positive and false-negative volume of.
        ignore_label: where the reference has it, nothing counts.
    """
    voxels = reference.size
    if ignore_label is not None and (ignored := reference == ignore_label).any():
        prediction, reference = (np.where(ignored, 0, labels) for labels in (prediction, reference))
        voxels -= int(np.count_nonzero(ignored))
    boxes = [find_objects(labels) for labels in (prediction, reference)]
    measured = {}
    for organ, labels in organs.items():
        there = [found[n - 1] for found in boxes for n in labels if n <= len(found) and found[n - 1] is not None]
        box = joint_box(there or [_ONE_VOXEL])
        masks = (_mask(prediction[box], labels), _mask(reference[box], labels))
        measured[organ] = _measure(*masks, voxels=voxels, spacing_in_mm=spacing_in_mm, lesion=organ in lesions)
    return measured


def _measure(
    prediction: np.ndarray, reference: np.ndarray, *, voxels: int, spacing_in_mm: Sequence[float], lesion: bool
) -> OrganMetrics:
    """Of two masks, cut out of a volume of so many voxels."""
    overlap = Overlap.of(prediction, reference)
    distances = surface_distances(prediction, reference, spacing_in_mm=spacing_in_mm)
    voxel_ml = prod(spacing_in_mm) / _MM3_PER_ML
    fpv = untouched_voxels(prediction, reference) * voxel_ml if lesion else float("nan")
    fnv = untouched_voxels(reference, prediction) * voxel_ml if lesion else float("nan")
    tn = voxels - overlap.tp - overlap.fp - overlap.fn
    return OrganMetrics(overlap, tn, distances.hd95, distances.asd, voxel_ml, fpv, fnv)


def _mask(labels: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    return labels == wanted[0] if len(wanted) == 1 else np.isin(labels, wanted)
