"""Teachers hold the tensors of one step at most, and none of them after it."""

import weakref
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_teachers import small_sam, small_unet
from torch import Tensor, nn

from nnunetv2_muduo.distillation import distil
from nnunetv2_muduo.memory.live_bytes import LiveBytes
from nnunetv2_muduo.memory.simulation import AutocastEinsum
from nnunetv2_muduo.semisupervised.answers import OwnAnswer, Patches
from nnunetv2_muduo.semisupervised.monitoring import Monitor
from nnunetv2_muduo.semisupervised.teacher_report import make_teacher_report
from nnunetv2_muduo.semisupervised.teaching import Teaching
from nnunetv2_muduo.settings import Settings

PATCH = (16, 16, 16)
ORGANS = ("liver", "spleen")


class FindsBoth(nn.Module):
    """A prompt generator that finds each organ in every patch."""

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.zeros(len(image), 3, *image.shape[2:])
        logits[:, 1, 2:6], logits[:, 2, 9:13] = 5.0, 5.0
        return logits


def teaching() -> Teaching:
    teachers = small_sam(), small_unet()
    shape = {"patch_size": PATCH, "spacing_in_mm": (3.0, 2.0, 2.0), "channels": (0, 1), "device": torch.device("cpu")}
    return Teaching(*teachers, prompt_generator=FindsBoth(), settings=Settings(), seed=0, **shape)


def patches() -> Patches:
    return Patches(clean=torch.rand(2, 2, *PATCH), raw=torch.rand(2, 2, *PATCH) * 100)


def labels() -> Tensor:
    return torch.ones(2, 1, *PATCH, dtype=torch.int16)


def learn(asked: Teaching, student: nn.Module) -> None:
    """A step: the student is taught, and its gradients are all that remains."""
    seen = patches()
    probabilities = student(seen.clean).softmax(1)[:, 1:]
    said = asked.label(seen, probabilities.detach())
    distil(probabilities, said.p_ct, said.p_pet, said.valid, torch.full(said.valid.shape, 0.5)).loss.backward()
    student.zero_grad(set_to_none=True)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref]:
    """References to every embedding and every answer of a teacher, none of which keeps it alive."""
    found: list[weakref.ref] = []

    def remembered(result):
        found.extend(weakref.ref(tensor) for tensor in (result if isinstance(result, tuple) else (result,)))
        return result

    for teacher in (type(small_sam()), type(small_unet())):
        for method in ("encode", "decode"):
            own = getattr(teacher, method)

            def watched(self, *arguments, own=own, **keywords):
                return remembered(own(self, *arguments, **keywords))

            monkeypatch.setattr(teacher, method, watched)
    return found


def test_embeddings_and_answers_of_teachers_are_gone_when_they_have_labelled(made: list[weakref.ref]):
    asked, seen = teaching(), patches()
    said = asked.label(seen, torch.full((2, 2, *PATCH), 0.5))
    assert len(made) >= 6  # an embedding, logits and agreement of each teacher
    assert [reference() for reference in made] == [None] * len(made)
    assert said.p_ct is not None  # what the loss needs is held


def test_nothing_is_held_after_a_step_and_later_steps_hold_no_more():
    with AutocastEinsum(), LiveBytes() as live:
        asked, student = teaching(), nn.Conv3d(2, 3, 1)
        learn(asked, student)  # small matrices of the views are made once
        before, peaks = live.now, []
        for _ in range(3):
            live.restart_peak()
            learn(asked, student)
            assert live.now == before
            peaks.append(live.peak)
    assert peaks[0] > before
    assert len(set(peaks)) == 1


def test_teacher_report_holds_nothing_of_a_batch_when_the_next_is_made():
    with AutocastEinsum(), LiveBytes() as live:
        asked, student, held = teaching(), nn.Conv3d(2, 3, 1), []

        def batches():
            for _ in range(4):
                held.append(live.now)
                yield patches(), labels()

        make_teacher_report(asked, student, batches(), organs=ORGANS)
        held.append(live.now)
    assert len(held) == 5
    small = 10_000  # bytes: counters, and matrices of the views that are made once; a patch of one channel has 16384
    assert max(held) - held[0] < small
    assert len(set(held[1:4])) == 1


def test_picture_of_a_patch_keeps_nothing_but_the_patch(
    made: list[weakref.ref], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked, one = teaching(), patches()
    patch = {"clean": one.clean[:1], "raw": one.raw[:1], "keys": ["case"], "orientations": [None]}
    monitor = Monitor(
        SimpleNamespace(
            output_folder=tmp_path,
            device=torch.device("cpu"),
            network=nn.Conv3d(2, 3, 1),
            dataloader_train=SimpleNamespace(unlabelled_patches=SimpleNamespace(central_patch=lambda: patch)),
            configuration_manager=SimpleNamespace(spacing=(3.0, 2.0, 2.0)),
            ct_channel=0,
            pet_channel=1,
            own_answer=lambda clean: None,
            ct_share=None,
            by_prompts=None,
            patches_of=lambda unlabelled: Patches(unlabelled["clean"], unlabelled["raw"]),
        )
    )
    ask = asked.ask

    def watched(seen: Patches, student: Tensor, own: OwnAnswer | None):
        said = ask(seen, student, own)
        made.extend(weakref.ref(tensor) for tensor in (student, said.p_ct, said.p_pet, said.asked, said.generator))
        return said

    monkeypatch.setattr(asked, "ask", watched)
    monitor.draw_unlabelled_patch(asked, 0)
    assert len(list(tmp_path.glob("*.png"))) == 1
    assert len(made) >= 11
    assert [reference() for reference in made] == [None] * len(made)
    assert monitor.pictured is patch
