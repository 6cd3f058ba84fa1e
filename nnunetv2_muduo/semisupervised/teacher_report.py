"""Do the teachers help? Dice of everyone involved, organ by organ, on labelled patches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnunetv2_muduo.semisupervised.teaching import Patches, Teaching

SOURCES = ("ct_teacher", "pet_teacher", "fused", "prompt_generator", "student")


@dataclass(frozen=True)
class TeacherReport:
    """Dice per organ of each source, over all patches together (NaN where an organ is nowhere or a source is off).

    Attributes:
        organs: names of the K organs.
        dice: source (one of SOURCES) -> [K] Dice in [0, 1].
    """

    organs: tuple[str, ...]
    dice: dict[str, np.ndarray]

    def mean(self, source: str) -> float:
        """Mean Dice of a source over the organs that were seen."""
        values = self.dice[source]
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    def reliability(self) -> np.ndarray:
        """[K] weights in [0, 1]: the share of the student's error that the fused teachers remove; 0 where they do not.

        An organ seen nowhere is not trusted (0).
        """
        student, fused = self.dice["student"], self.dice["fused"]
        gain = (fused - student) / np.maximum(1.0 - student, 1e-6)
        return np.clip(np.nan_to_num(gain, nan=0.0), 0.0, 1.0)

    def as_table(self) -> str:
        """Markdown, a row per source."""
        header = "| Dice on labelled patches | " + " | ".join(self.organs) + " | mean |"
        rows = [header, "|---" * (len(self.organs) + 2) + "|"]
        for source in SOURCES:
            cells = " | ".join(f"{value:.3f}" for value in self.dice[source])
            rows.append(f"| {source.replace('_', ' ')} | {cells} | {self.mean(source):.3f} |")
        return "\n".join(rows)


class DiceCounter:
    """Adds up overlap and sizes over patches: Dice = 2 * overlap / (size + size), per organ."""

    def __init__(self, organs: int) -> None:
        self.overlap, self.sizes, self.truth = np.zeros(organs), np.zeros(organs), np.zeros(organs)

    def add(self, prediction: Tensor, truth: Tensor, counted: Tensor) -> None:
        """Three bool tensors [B, K, Z, Y, X] ([B, 1, Z, Y, X] for `counted`: not the ignore label)."""
        prediction, truth = prediction & counted, truth & counted

        def total(mask: Tensor) -> np.ndarray:
            return mask.sum(dim=(0, 2, 3, 4)).double().cpu().numpy()

        self.overlap += total(prediction & truth)
        self.truth += total(truth)
        self.sizes += total(prediction) + total(truth)

    def dice(self) -> np.ndarray:
        """[K], NaN where the organ is in no patch."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.truth > 0, 2 * self.overlap / self.sizes, np.nan)


@torch.inference_mode()
def make_teacher_report(
    teaching: Teaching,
    student: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Patches, Tensor]],
    *,
    organs: Sequence[str],
    ignore_label: int | None = None,
) -> TeacherReport:
    """Let everyone segment the labelled patches.

    Args:
        teaching: the teachers and the prompt generator.
        student: clean patches [B, C, Z, Y, X] -> logits [B, 1 + K, Z, Y, X].
        batches: pairs of patches and their labels [B, 1, Z, Y, X] (int, organ k is label k + 1).
        organs: names of the K organs.
        ignore_label: voxels with this label do not count.
    """
    counters = {source: DiceCounter(len(organs)) for source in SOURCES}
    seen: set[str] = set()
    for patches, labels in batches:
        seen |= _count(teaching, student, patches, labels, counters=counters, ignore_label=ignore_label)
        del patches, labels  # before the next ones are made
    nothing = np.full(len(organs), np.nan)
    return TeacherReport(
        tuple(organs), {source: counters[source].dice() if source in seen else nothing for source in SOURCES}
    )


def _count(
    teaching: Teaching,
    student: Callable[[Tensor], Tensor],
    patches: Patches,
    labels: Tensor,
    *,
    counters: dict[str, DiceCounter],
    ignore_label: int | None,
) -> set[str]:
    """Add one batch to the counters; returns who had something to say. No tensor outlives it."""
    logits = student(patches.clean).float()
    probabilities = logits.softmax(1)[:, 1:]
    said = teaching.label(patches, probabilities)
    indices = torch.arange(1, logits.shape[1], device=labels.device).view(1, -1, 1, 1, 1)
    counted = labels != ignore_label if ignore_label is not None else torch.ones_like(labels, dtype=torch.bool)
    masks = {
        "ct_teacher": None if said.p_ct is None else said.p_ct > 0.5,
        "pet_teacher": None if said.p_pet is None else said.p_pet > 0.5,
        "fused": said.fused,
        "prompt_generator": said.generator,
        "student": logits.argmax(1, keepdim=True) == indices,
    }
    given = {source: mask for source, mask in masks.items() if mask is not None}
    for source, mask in given.items():
        counters[source].add(mask, labels == indices, counted)
    return set(given)
