"""A GPU's memory is held against what a simulated step takes."""

import pytest
from doctor_dataset import DATASET_JSON, PLANS
from doctor_marks import mark_of

from nnunetv2_muduo.doctor import Mark, gpu
from nnunetv2_muduo.doctor.disk import GIB
from nnunetv2_muduo.doctor.gpu import GpuNeed, estimate_need, judge_memory, rule_of_thumb
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo


def test_gpu_memory_is_held_against_the_need():
    need = GpuNeed(student=16, teachers=2, source="guessed")
    assert mark_of(judge_memory("A card", 24, need)) is Mark.OK
    assert mark_of(judge_memory("A card", 11, need)) is Mark.WARN
    assert mark_of(judge_memory("A card", 20, need)) is Mark.WARN  # nobody knows what a GPU takes beside
    assert mark_of(judge_memory("A card", 11, None)) is Mark.OK
    assert "18.0 GiB (student 16.0, teachers 2.0; guessed)" in judge_memory("A card", 11, need).found


def test_need_is_simulated_and_says_what_it_was_never_compared_with():
    plans = {**PLANS, "muduo": {"ct_teacher": "standin_ct", "pet_teacher": None}}
    need = estimate_need(plans, configuration="3d_fullres", dataset_json=DATASET_JSON, trainer_class=nnUNetTrainerMuDuo)
    assert "simulated step" in need.source
    assert "not compared with a GPU" in need.source
    assert 0.001 < need.teachers < need.total < 2


def test_rule_of_thumb_steps_in_where_the_simulation_fails_and_says_so(monkeypatch: pytest.MonkeyPatch):
    def fail_to_simulate(*arguments: object, **keywords: object) -> GpuNeed:
        raise NotImplementedError("no such operator")

    monkeypatch.setattr(gpu, "simulated_need", fail_to_simulate)
    need = estimate_need(PLANS, configuration="3d_fullres", dataset_json=DATASET_JSON, trainer_class=nnUNetTrainerMuDuo)
    assert need.source == "nnU-Net's rule of thumb; NotImplementedError in the simulation"


def test_rule_of_thumb_grows_with_patches_and_released_teachers():
    def estimate(unlabelled: int | None, *teachers: str) -> GpuNeed:
        return rule_of_thumb(
            PLANS,
            why="asked for",
            configuration="3d_fullres",
            dataset_json=DATASET_JSON,
            unlabelled_batch_size=unlabelled,
            teachers=teachers,
        )

    assert estimate(6).student == pytest.approx(2 * estimate(2).student)
    assert estimate(None) == estimate(2)
    of_released = estimate(2, "sam_med3d_turbo", "seganypet_v1").teachers - estimate(2, "standin_ct").teachers
    assert of_released == pytest.approx(2 * 100.5e6 * 4 / GIB)
    assert estimate(2).teachers == 0
