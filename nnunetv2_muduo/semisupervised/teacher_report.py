"""Do the teachers help? Dice of everyone involved, organ by organ, on labelled patches."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nnunetv2_muduo.evaluation.markdown import markdown_table
from nnunetv2_muduo.evaluation.means import mean_of
from nnunetv2_muduo.semisupervised.answers import OwnAnswer, Patches, organ_masks
from nnunetv2_muduo.semisupervised.dice_counter import DiceCounter, count_masks
from nnunetv2_muduo.semisupervised.teaching import Teaching

SOURCES = ("ct_teacher", "pet_teacher", "fused", "prompt_generator", "student")


@dataclass(frozen=True)
class TeacherReport:
    """Dice per organ of each source, over all patches together (NaN where an organ is nowhere or a source is off).

    Attributes:
        organs: names of the K organs.
        dice: source (one of SOURCES) -> [K] Dice in [0, 1].
        ct_share: [K] weight of the CT teacher in the fused labels; None: one half, or what is drawn.
        by_prompts: [K] bool, organs whose fused labels are the prompt generator's; None: the teachers label all.
    """

    organs: tuple[str, ...]
    dice: dict[str, np.ndarray]
    ct_share: np.ndarray | None = None
    by_prompts: np.ndarray | None = None

    def mean(self, source: str) -> float:
        """Mean Dice of a source over the organs that were seen."""
        return float(mean_of(self.dice[source]))

    def reliability(self) -> np.ndarray:
        """[K] weights in [0, 1]: the share of the student's error that the fused teachers remove; 0 where they do not.

        An organ seen nowhere is not trusted (0).
        """
        student, fused = self.dice["student"], self.dice["fused"]
        gain = (fused - student) / np.maximum(1.0 - student, 1e-6)
        return np.clip(np.nan_to_num(gain, nan=0.0), 0.0, 1.0)

    def gates(self) -> np.ndarray:
        """[K] weights: 1 where the fused pseudo-labels are at least as good as the student, 0 elsewhere.

        An organ seen nowhere is not trusted (0), nor one that nobody finds.
        """
        student, fused = self.dice["student"], self.dice["fused"]
        with np.errstate(invalid="ignore"):
            return ((fused >= student) & (fused > 0)).astype(float)

    def as_table(self) -> str:
        """Markdown, a row per source, and a line below where there was nothing to measure."""
        rows = [[source.replace("_", " "), *map(_told, [*self.dice[source], self.mean(source)])] for source in SOURCES]
        table = markdown_table(["Dice on labelled patches", *self.organs, "mean"], rows)
        if any(np.isnan(dice).any() for dice in self.dice.values()):
            table += "\n\n-: none of the patches shows the organ (`report_patches` takes more), or nobody was asked."
        if told := "; by ".join(f"{who}: {', '.join(organs)}" for who, organs in self._choice().items() if organs):
            table += f"\n\nLabelled by {told}."
        return table

    def _choice(self) -> dict[str, list[str]]:
        """Who labels -> names of the organs, as far as anything was chosen."""
        by_prompts = np.zeros(len(self.organs), bool) if self.by_prompts is None else self.by_prompts
        ct_share = np.full(len(self.organs), np.nan) if self.ct_share is None else self.ct_share
        chosen = {
            "the CT teacher": (ct_share == 1.0) & ~by_prompts,
            "the PET teacher": (ct_share == 0.0) & ~by_prompts,
            "both": (ct_share == 0.5) & ~by_prompts,
            "the prompts": by_prompts,
        }
        return {who: np.asarray(self.organs)[organs].tolist() for who, organs in chosen.items()}


def _told(dice: float) -> str:
    return "-" if np.isnan(dice) else f"{dice:.3f}"


@torch.inference_mode()
def make_teacher_report(
    teaching: Teaching,
    student: Callable[[Tensor], Tensor],
    batches: Iterable[tuple[Patches, Tensor]],
    *,
    organs: Sequence[str],
    ignore_label: int | None = None,
    own_answer: Callable[[Tensor], OwnAnswer | None] = lambda clean: None,
    ct_share: Tensor | None = None,
    prompts_label: bool = False,
) -> TeacherReport:
    """Let everyone segment the labelled patches.

    Args:
        teaching: the teachers and the prompt generator.
        student: clean patches [B, C, Z, Y, X] -> logits [B, 1 + K, Z, Y, X].
        batches: pairs of patches and their labels [B, 1, Z, Y, X] (int, organ k is label k + 1).
        organs: names of the K organs.
        ignore_label: voxels with this label do not count.
        own_answer: clean patches -> what the averaged student says, where it takes part.
        ct_share: [K] weight of the CT teacher in the fused labels, as `Teaching.judge` takes it.
        prompts_label: let the prompt generator's masks be the fused labels of the organs for which they are better.
    """
    counters = {source: DiceCounter(len(organs)) for source in SOURCES}
    seen: set[str] = set()
    for patches, labels in batches:
        masks = _answers(teaching, student, patches, own_answer=own_answer, ct_share=ct_share)
        seen |= count_masks(masks, labels, counters=counters, ignore_label=ignore_label)
        del masks
        del patches, labels  # before the next ones are made
    nothing = np.full(len(organs), np.nan)
    dice = {source: counters[source].dice() if source in seen else nothing for source in SOURCES}
    by_prompts = None
    if prompts_label:
        with np.errstate(invalid="ignore"):
            by_prompts = dice["prompt_generator"] > dice["fused"]
        dice["fused"] = np.where(by_prompts, dice["prompt_generator"], dice["fused"])
    return TeacherReport(tuple(organs), dice, None if ct_share is None else ct_share.cpu().numpy(), by_prompts)


def _answers(
    teaching: Teaching,
    student: Callable[[Tensor], Tensor],
    patches: Patches,
    *,
    own_answer: Callable[[Tensor], OwnAnswer | None],
    ct_share: Tensor | None,
) -> dict[str, Tensor]:
    """Source -> masks [B, K, Z, Y, X] (bool) of a batch, of those who have something to say."""
    logits = student(patches.clean).float()
    said = teaching.label(patches, logits.softmax(1)[:, 1:], own_answer(patches.clean), ct_share=ct_share)
    masks = {
        "ct_teacher": None if said.p_ct is None else said.p_ct > 0.5,
        "pet_teacher": None if said.p_pet is None else said.p_pet > 0.5,
        "fused": said.fused,
        "prompt_generator": said.generator,
        "student": organ_masks(logits.argmax(1), logits.shape[1] - 1),
    }
    return {source: mask for source, mask in masks.items() if mask is not None}
