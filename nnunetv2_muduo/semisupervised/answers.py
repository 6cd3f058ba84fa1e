"""What goes into teaching and what comes out of it: patches, the student's own answer, evidence, labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from nnunetv2_muduo.distillation import StudentVote, both_streams, fuse
from nnunetv2_muduo.teachers.dual import Encoded

Orientations: TypeAlias = Sequence[str | None]


@dataclass(frozen=True)
class Patches:
    """A batch of patches in both the forms that are needed.

    Attributes:
        clean: [B, C, Z, Y, X] as nnU-Net normalises them, not augmented.
        raw: [B, C, Z, Y, X] the same patches in HU and SUV.
        orientations: which way x, y and z of each patch's scan grow (`datasets.orientation_of`), for teachers that
            know patients in one orientation; None: patches lie as the teachers know them, or nobody knows.
    """

    clean: Tensor
    raw: Tensor
    orientations: Orientations | None = None

    def to(self, device: torch.device) -> "Patches":
        """The same on a device."""
        clean, raw = (tensor.to(device, non_blocking=True) for tensor in (self.clean, self.raw))
        return Patches(clean, raw, self.orientations)


@dataclass(frozen=True)
class OwnAnswer:
    """What the averaged student says about a batch of patches, and how much that weighs.

    Attributes:
        probabilities: [B, K, Z, Y, X] of the organs.
        label_share: its weight in pseudo-labels, in [0, 1]; the teachers have the rest.
        prompt_share: its weight in prompts, in [0, 1]; the prompt generator has the rest.
    """

    probabilities: Tensor
    label_share: float = 0.0
    prompt_share: float = 0.0

    @property
    def vote(self) -> StudentVote:
        """Its say in pseudo-labels."""
        return StudentVote(self.probabilities, self.label_share)


@dataclass(frozen=True)
class Evidence:
    """All that can be said about a batch of patches without asking the student; the rest is `Teaching.conclude`.

    K organs; n cubes of each patch in a teacher's view (`TeacherView`), M the edge of its answers in voxels.

    Attributes:
        generator: [B, Z, Y, X] integers, the prompt generator's label map (k is organ k, 0 none), or what it and the
            averaged student say together; None without a generator.
        ct: the encoded cubes of the CT, B * n of them or those that matter; None where the CT teacher is switched off
            or has answered already.
        ct_logits: [B*n, K, M, M, M] the CT teacher's answer to the generator's prompts; None where it waits for the
            student's.
        pet_logits: [B*n, K, M, M, M] the PET teacher's answer; None where it is switched off.
        pet_asked: [B*n, K] bool, where the PET teacher had a point to answer to; None likewise.
        orientations: of the patches' scans, as in `Patches`.
    """

    generator: Tensor | None = None
    ct: Encoded | None = None
    ct_logits: Tensor | None = None
    pet_logits: Tensor | None = None
    pet_asked: Tensor | None = None
    orientations: Orientations | None = None


@dataclass(frozen=True)
class TeacherAnswers:
    """What the teachers say about a batch of patches.

    Attributes:
        p_ct: [B, K, Z, Y, X] probabilities of the CT teacher; None where it is switched off.
        p_pet: [B, K, Z, Y, X] probabilities of the PET teacher; None where it is switched off.
        generator: [B, K, Z, Y, X] bool, the prompt generator's organs; None where nothing needs it.
        prompted: [B, K, Z, Y, X] bool, the organs that were asked about, as they were found.
        asked: [B, K] bool, the organ was found in the patch, and the PET teacher was asked about it.
    """

    p_ct: Tensor | None
    p_pet: Tensor | None
    generator: Tensor | None
    prompted: Tensor
    asked: Tensor

    def replaced_by_prompts(self, organs: Tensor) -> "TeacherAnswers":
        """The same with what prompted the teachers in the place of their answers about some organs, [K] bool."""
        chosen, prompts = organs[:, None, None, None], self.prompted.float()
        p_ct, p_pet = (None if p is None else torch.where(chosen, prompts, p) for p in (self.p_ct, self.p_pet))
        return replace(self, p_ct=p_ct, p_pet=p_pet)


@dataclass(frozen=True)
class TeacherLabels:
    """What becomes of the teachers' answers.

    Attributes:
        p_ct: as in `TeacherAnswers`.
        p_pet: as in `TeacherAnswers`.
        generator: as in `TeacherAnswers`.
        valid: [B, K] bool, the teachers were asked, and their mixture is about what was found: `min_prompt_iou` is
            reached.
        vote: of the averaged student on the pseudo-label; None where it has none.
        mix: [B, K] weight of the CT teacher in the pseudo-label; None: one half.
    """

    p_ct: Tensor | None
    p_pet: Tensor | None
    generator: Tensor | None
    valid: Tensor
    vote: StudentVote | None = None
    mix: Tensor | None = None

    @property
    def streams(self) -> tuple[Tensor, Tensor]:
        """Both streams; with one teacher switched off the other stands in for it."""
        return both_streams(self.p_ct, self.p_pet)

    @property
    def fused(self) -> Tensor:
        """[B, K, Z, Y, X] bool, both teachers' mixture, with the vote, above one half; nothing where not valid."""
        return fuse(*self.streams, self.mix, vote=self.vote) & self.valid[:, :, None, None, None]


def organ_masks(labels: Tensor, organs: int) -> Tensor:
    """Label map [B, Z, Y, X] -> masks [B, K, Z, Y, X] bool of organs 1 to K."""
    return labels[:, None] == torch.arange(1, organs + 1, device=labels.device).view(1, -1, 1, 1, 1)
