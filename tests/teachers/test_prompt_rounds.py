"""Rounds of prompting play by the rules of interactive segmentation."""

import pytest
import torch
from torch import Tensor

from nnunetv2_muduo.teachers.clicks import values_at
from nnunetv2_muduo.teachers.crops import Crops
from nnunetv2_muduo.teachers.prompt_rounds import (
    PromptMix,
    click_prompts,
    corrected_rounds,
    dice,
    first_prompts,
    prompted_dice,
    to_cube,
)
from nnunetv2_muduo.teachers.protocol import TeacherSpec


class Recorder:
    """A teacher that answers with a box of its own and remembers how it was asked."""

    spec = TeacherSpec(cube_size=16, mask_size=8, spacing_in_mm=8.0)

    def __init__(self) -> None:
        self.asked: list[tuple[Tensor, Tensor, Tensor]] = []

    def encode(self, image: Tensor) -> Tensor:
        return image

    def decode(
        self, embedding: Tensor, coords: Tensor | None, labels: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        assert coords is not None
        assert labels is not None
        assert masks is not None
        self.asked.append((coords.clone(), labels.clone(), masks.clone()))
        logits = torch.full_like(masks, -5.0)
        logits[..., 2:4, 2:6, 2:6] = 5.0
        return logits, logits.new_ones(logits.shape[:2])


@pytest.fixture
def crops() -> Crops:
    targets = torch.zeros(2, 3, 16, 16, 16, dtype=torch.bool)
    targets[..., 4:12, 4:12, 4:12] = True
    return Crops(torch.zeros(2, 1, 16, 16, 16), targets, ~targets, [["a", "b", "c"]] * 2, torch.zeros(2, 16, 16, 16))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_each_round_adds_a_click_in_the_error_and_passes_the_last_logits_on(crops: Crops) -> None:
    teacher = Recorder()
    prompts = click_prompts(crops, mask_size=8, generator=generator())
    answers = list(corrected_rounds(teacher, crops, prompts, rounds=3, generator=generator()))
    assert [asked[0].shape[2] for asked in teacher.asked] == [1, 2, 3]
    assert not teacher.asked[0][2].any()
    torch.testing.assert_close(to_cube(teacher.asked[1][2], 16), answers[0])
    coords, labels, _ = teacher.asked[2]
    wrong = (answers[0] > 0) ^ crops.targets
    assert values_at(wrong.flatten(0, 1), coords[:, :, 1:].flatten(0, 1)).all()
    assert torch.equal(values_at(crops.targets.flatten(0, 1), coords.flatten(0, 1)), labels.flatten(0, 1) == 1)


def test_first_prompts_are_one_click_several_or_only_a_mask(crops: Crops) -> None:
    for mix, points, hint in (
        (PromptMix(1, 0, 0), 1, False),
        (PromptMix(0, 1, 0, points=3, stray=0), 3, False),
        (PromptMix(0, 0, 1), 0, True),
    ):
        prompts = first_prompts(crops, mask_size=8, mix=mix, generator=generator())
        assert ((prompts.labels == 1).sum(-1) == points).all()
        assert prompts.masks.flatten(2).any(-1).all() == hint
        inside = values_at(crops.targets.flatten(0, 1), prompts.coords.flatten(0, 1))
        assert inside[prompts.labels.flatten(0, 1) == 1].all()


def test_of_several_points_one_may_be_astray(crops: Crops) -> None:
    mix = PromptMix(0, 1, 0, points=3, stray=1.0)
    prompts = first_prompts(crops, mask_size=8, mix=mix, generator=generator())
    inside = values_at(crops.targets.flatten(0, 1), prompts.coords.flatten(0, 1))
    assert inside[:, :2].all()
    assert not inside[:, 2].any()
    assert (prompts.labels == 1).all()


def test_dice_of_each_way_of_prompting_is_that_of_the_answer(crops: Crops) -> None:
    scores = prompted_dice(Recorder(), crops, seed=0)
    answer = torch.zeros(16, 16, 16, dtype=torch.bool)
    answer[4:8, 4:12, 4:12] = True
    expected = dice(answer, crops.targets[0, 0])
    for prompt in ("1 click", "3 clicks", "5 clicks", "3 points", "mask"):
        torch.testing.assert_close(scores[prompt], expected.expand(2, 3), atol=0.03, rtol=0)  # edges are interpolated
    assert ((scores["given mask"] > 0) & (scores["given mask"] < 1)).all()


def test_dice_counts_both_empty_as_unknown() -> None:
    empty = torch.zeros(4, 4, 4, dtype=torch.bool)
    full = ~empty
    assert dice(full, full) == 1
    assert dice(full, empty) == 0
    assert dice(empty, empty).isnan()
