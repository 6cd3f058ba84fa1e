"""An organ is labelled by whichever teacher does it best on labelled patches."""

import numpy as np
import torch

from nnunetv2_muduo.semisupervised.answers import OwnAnswer, Patches, TeacherAnswers, TeacherLabels
from nnunetv2_muduo.semisupervised.teacher_choice import choose_teachers

SHAPE = (4, 5, 6)


class EachKnowsOne:
    """The CT teacher knows organ 1, the PET teacher organ 2, each half of organ 3; nobody knows organ 4."""

    def __init__(self, truth: torch.Tensor) -> None:
        organs = torch.stack([truth[:, 0] == label for label in (1, 2, 3, 4)], 1).float()
        nothing, left = torch.zeros_like(organs[:, 0]), torch.arange(SHAPE[-1]) < SHAPE[-1] // 2
        self.p_ct = torch.stack([organs[:, 0], nothing, organs[:, 2] * torch.where(left, 0.9, 0.2), nothing], 1)
        self.p_pet = torch.stack([nothing, organs[:, 1], organs[:, 2] * torch.where(left, 0.2, 0.9), nothing], 1)
        self.own: list[OwnAnswer | None] = []

    def ask(self, patches: Patches, student: torch.Tensor, own: OwnAnswer | None) -> TeacherAnswers:
        self.own.append(own)
        found = self.p_ct > 0.5
        return TeacherAnswers(self.p_ct, self.p_pet, found, found, torch.ones(self.p_ct.shape[:2], dtype=torch.bool))

    def judge(self, said: TeacherAnswers, *, ct_share: torch.Tensor) -> TeacherLabels:
        return TeacherLabels(said.p_ct, said.p_pet, said.generator, said.asked, mix=ct_share.expand(said.asked.shape))


def test_everyone_gets_what_they_know_best_and_the_averaged_student_prompts_without_a_vote():
    truth = torch.zeros(2, 1, *SHAPE, dtype=torch.int16)
    for label in (1, 2, 3, 4):
        truth[:, :, label - 1] = label
    clean = torch.zeros(2, 2, *SHAPE)
    own, teaching = OwnAnswer(torch.zeros(2, 4, *SHAPE), 0.9, 0.5), EachKnowsOne(truth)
    chosen = choose_teachers(
        teaching,
        lambda patches: torch.zeros(2, 5, *SHAPE),
        [(Patches(clean, clean), truth)],
        organs=4,
        own_answer=lambda patches: own,
    )
    np.testing.assert_array_equal(chosen, [1.0, 0.0, 0.5, np.nan])
    assert teaching.own == [own]
