import numpy as np
import pytest
import torch

from nnunetv2_muduo.semisupervised.answers import OwnAnswer, Patches, TeacherLabels
from nnunetv2_muduo.semisupervised.teacher_report import TeacherReport, make_teacher_report

ORGANS = ("liver", "spleen")
SHAPE = (4, 5, 6)


def report(student: list[float], fused: list[float]) -> TeacherReport:
    dice = {"student": np.array(student), "fused": np.array(fused)}
    nothing = np.full(len(student), np.nan)
    return TeacherReport(ORGANS, {"ct_teacher": nothing, "pet_teacher": nothing, "prompt_generator": nothing, **dice})


class KnowsLiver:
    """The CT teacher knows the liver, the PET teacher says liver nowhere; nobody finds the spleen."""

    def __init__(self, truth: torch.Tensor, prompts: torch.Tensor | None = None) -> None:
        self.liver, self.prompts = (truth == 1).float(), prompts

    def label(
        self,
        patches: Patches,
        student: torch.Tensor,
        own: OwnAnswer | None,
        *,
        ct_share: torch.Tensor | None,
    ) -> TeacherLabels:
        p_ct = torch.cat([self.liver, torch.zeros_like(self.liver)], 1)
        valid = torch.tensor([[True, False]]).expand(len(self.liver), 2)
        mix = None if ct_share is None else ct_share.expand(valid.shape)
        generator = p_ct > 0.5 if self.prompts is None else self.prompts
        return TeacherLabels(p_ct, torch.full_like(p_ct, 0.4), generator, valid, own and own.vote, mix)


@pytest.fixture
def truth() -> torch.Tensor:
    labels = torch.zeros(2, 1, *SHAPE, dtype=torch.int16)
    labels[:, :, 1:3], labels[:, :, 3, 0] = 1, 2
    return labels


def student_logits(labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(labels[:, 0].long(), 3).permute(0, 4, 1, 2, 3).float() * 9


def make(truth: torch.Tensor, said_by_student: torch.Tensor, **kwargs) -> TeacherReport:
    patches = Patches(clean=torch.zeros(2, 2, *SHAPE), raw=torch.zeros(2, 2, *SHAPE))
    return make_teacher_report(
        KnowsLiver(truth), lambda _: student_logits(said_by_student), [(patches, truth)], organs=ORGANS, **kwargs
    )


def test_report_gives_everyone_their_own_dice(truth):
    result = make(truth, truth)
    assert result.dice["student"].tolist() == [1.0, 1.0]
    assert result.dice["ct_teacher"].tolist() == [1.0, 0.0]
    assert result.dice["pet_teacher"].tolist() == [0.0, 0.0]
    assert result.dice["fused"].tolist() == [1.0, 0.0]


def test_what_is_fused_holds_the_students_vote(truth):
    for share, dice in ((0.2, 1.0), (0.4, 0.0)):  # 0.8 * 0.7, 0.6 * 0.7 for the liver
        nowhere = OwnAnswer(torch.zeros(2, 2, *SHAPE), label_share=share)
        assert make(truth, truth, own_answer=lambda _, own=nowhere: own).dice["fused"][0] == dice


def test_fused_labels_are_those_of_the_teacher_that_was_chosen_and_that_is_told(truth):
    nowhere = OwnAnswer(torch.zeros(2, 2, *SHAPE), label_share=0.4)  # both teachers' 0.7 is not enough then
    given = {"own_answer": lambda _: nowhere}
    mean = make(truth, truth, **given)
    chosen = make(truth, truth, ct_share=torch.tensor([1.0, 0.5]), **given)
    assert (mean.dice["fused"][0], chosen.dice["fused"][0]) == (0.0, 1.0)
    assert chosen.as_table().endswith("Labelled by the CT teacher: liver; by both: spleen.")
    assert mean.ct_share is None
    assert "Labelled by" not in mean.as_table()


def test_the_prompts_label_organs_that_they_outline_better_than_the_teachers_and_that_is_told(truth):
    prompts = torch.cat([truth == 1, truth == 2], 1)
    prompts[:, :1, 2] = False  # half of the liver, all of the spleen, which no teacher finds
    patches = Patches(clean=torch.zeros(2, 2, *SHAPE), raw=torch.zeros(2, 2, *SHAPE))
    found = [
        make_teacher_report(
            KnowsLiver(truth, prompts),
            lambda _: student_logits(truth),
            [(patches, truth)],
            organs=ORGANS,
            prompts_label=label,
            ct_share=torch.tensor([1.0, 1.0]),
        )
        for label in (False, True)
    ]
    assert [report.dice["fused"].tolist() for report in found] == [[1.0, 0.0], [1.0, 1.0]]
    assert found[0].by_prompts is None
    assert found[1].by_prompts.tolist() == [False, True]
    assert found[1].gates().tolist() == [1.0, 1.0]
    assert found[1].as_table().endswith("Labelled by the CT teacher: liver; by the prompts: spleen.")


def test_nothing_is_fused_of_an_organ_that_is_not_valid():
    certain = torch.ones(1, 2, *SHAPE)
    vote = OwnAnswer(certain, label_share=0.5).vote
    said = TeacherLabels(certain, certain, generator=None, valid=torch.tensor([[True, False]]), vote=vote)
    assert said.fused[0, 0].all()
    assert not said.fused[0, 1].any()


def test_an_organ_in_no_patch_is_nan(truth):
    result = make(truth.clamp_max(1), truth.clamp_max(1))
    assert np.isnan(result.dice["student"][1])
    assert result.mean("student") == 1.0


def test_voxels_to_ignore_do_not_count(truth):
    wrong = truth.clone()
    wrong[:, :, 2], wrong[:, :, 0] = 0, 1  # missed there, found in vain here
    marked = truth.clone()
    marked[:, :, 2], marked[:, :, 0] = 3, 3
    assert make(truth, wrong).dice["student"][0] < 1.0
    assert make(marked, wrong, ignore_label=3).dice["student"][0] == 1.0


def test_reliability_is_the_share_of_the_students_error_that_the_teachers_remove():
    assert report([0.6, 0.9], [0.8, 0.9]).reliability() == pytest.approx([0.5, 0.0])


def test_a_teacher_worse_than_the_student_or_unseen_is_not_trusted():
    assert report([0.6, 0.9], [0.3, np.nan]).reliability().tolist() == [0.0, 0.0]


def test_a_gate_is_open_where_pseudo_labels_are_at_least_as_good_as_the_student():
    assert report([0.6, 0.9], [0.61, 0.89]).gates().tolist() == [1.0, 0.0]
    assert report([0.6, np.nan], [0.6, np.nan]).gates().tolist() == [1.0, 0.0]
    assert report([0.0, 0.0], [0.0, 0.1]).gates().tolist() == [0.0, 1.0]


def test_a_perfect_student_needs_no_teacher():
    assert report([1.0, 1.0], [1.0, 0.5]).reliability().tolist() == [0.0, 0.0]


def test_table_has_a_row_per_source():
    table = report([0.6, 0.9], [0.8, 0.7]).as_table()
    assert "| fused | 0.800 | 0.700 | 0.750 |" in " ".join(table.split())
    assert sum(line.startswith("|") for line in table.splitlines()) == 2 + 5


def test_table_says_why_there_is_no_number():
    *rows, why = report([0.6, 0.9], [0.8, np.nan]).as_table().splitlines()
    assert "| fused | 0.800 | - | 0.800 |" in " ".join(" ".join(rows).split())
    assert "none of the patches shows the organ" in why
