"""A step without values holds what the same step holds on real tensors, and what it says follows the configuration."""

import os
from pathlib import Path

import pytest
import torch
from planned_dataset import DATASET_JSON, unet_plans
from tiny_teachers import small_sam, small_unet

from nnunetv2_muduo.memory import simulated_teaching, training_step
from nnunetv2_muduo.memory.training_step import StepBytes, simulate_step
from nnunetv2_muduo.trainers.nnUNetTrainerCPS import nnUNetTrainerCPS
from nnunetv2_muduo.trainers.nnUNetTrainerMeanTeacher import nnUNetTrainerMeanTeacher
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE
from nnunetv2_muduo.trainers.nnUNetTrainerSemiSAM import nnUNetTrainerSemiSAM
from nnunetv2_muduo.trainers.nnUNetTrainerUAMT import nnUNetTrainerUAMT

PATCH = (16, 16, 16)
SEMI_SUPERVISED = (
    nnUNetTrainerMuDuo,
    nnUNetTrainerMeanTeacher,
    nnUNetTrainerUAMT,
    nnUNetTrainerCPS,
    nnUNetTrainerSemiSAM,
)


@pytest.fixture(autouse=True)
def small_teachers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"sam_med3d_turbo": small_sam, "seganypet_v1": small_unet}
    monkeypatch.setattr(simulated_teaching, "teacher_without_weights", lambda name: made[name]().eval())


def step(trainer: type, *, values: bool = False, on_cuda: bool = False, features: int = 4, **muduo) -> StepBytes:
    plans = {**unet_plans(patch_size=PATCH, features=features), "muduo": muduo}
    return simulate_step(
        trainer, plans, configuration="3d_fullres", dataset_json=DATASET_JSON, on_cuda=on_cuda, values=values
    )


@pytest.mark.parametrize("on_cuda", [False, True])
@pytest.mark.parametrize("trainer", [nnUNetTrainerMuDuoSupervised, *SEMI_SUPERVISED, nnUNetTrainerPETCTMAE])
def test_simulated_step_holds_what_the_real_one_holds(trainer: type, on_cuda: bool):
    simulated, real = step(trainer, on_cuda=on_cuda), step(trainer, on_cuda=on_cuda, values=True)
    assert (simulated.teachers, simulated.batch) == (real.teachers, real.batch)
    assert simulated.student == pytest.approx(real.student, rel=0.05)  # matrices of the teachers' views stay
    assert simulated.peak == pytest.approx(real.peak, rel=0.15)
    assert simulated.kept == pytest.approx(real.kept, rel=0.15)
    assert simulated.kept > simulated.peak


def test_step_on_the_host_leaves_the_batch_to_the_loaders_and_keeps_more_unless_it_gives_back():
    found = StepBytes(teachers=1, student=2, peak=100, batch=30, kept=150)
    assert (found.on_host(gives_back=True), found.on_host(gives_back=False)) == (70, 120)


def test_turned_patches_take_what_they_take_on_real_tensors_and_more_than_none():
    simulated, real = (step(nnUNetTrainerMuDuo, spatial_augmentation=True, values=values) for values in (False, True))
    assert simulated.peak == pytest.approx(real.peak, rel=0.15)
    assert simulated.peak > step(nnUNetTrainerMuDuo).peak


def test_half_precision_takes_less_and_a_second_stream_more():
    alone, muduo = step(nnUNetTrainerMuDuoSupervised, features=8), step(nnUNetTrainerMuDuo, features=8)
    assert muduo.peak > 1.5 * alone.peak
    assert step(nnUNetTrainerMuDuo, features=8, on_cuda=True).peak < 0.8 * muduo.peak


def test_student_is_its_weights_gradients_and_momentum():
    network = unet_parameters()
    assert step(nnUNetTrainerMuDuoSupervised).student == pytest.approx(3 * 4 * network, rel=0.01)


def test_an_average_takes_its_weights_and_a_second_student_all_that_the_first_takes():
    alone, network = step(nnUNetTrainerMuDuoSupervised).student, 4 * unet_parameters()
    assert step(nnUNetTrainerMuDuoSupervised, predict_with="ema").student - alone == pytest.approx(network, rel=0.01)
    assert step(nnUNetTrainerUAMT).student == step(nnUNetTrainerMeanTeacher).student
    assert step(nnUNetTrainerMeanTeacher).student - alone == pytest.approx(network, rel=0.01)
    assert step(nnUNetTrainerCPS).student == pytest.approx(2 * alone, rel=0.01)


def test_both_students_begin_a_step_with_what_the_step_before_left(monkeypatch: pytest.MonkeyPatch):
    filled, fill = [], training_step.fill_optimiser
    monkeypatch.setattr(
        training_step, "fill_optimiser", lambda trainer: filled.append(trainer.network) or fill(trainer)
    )
    step(nnUNetTrainerCPS)
    assert len({id(network) for network in filled}) == 2


def test_a_generalist_is_the_one_teacher_that_is_chosen():
    for chosen, made in (("ct", small_sam), ("pet", small_unet)):
        of_one = sum(parameter.numel() for parameter in made().parameters())
        assert step(nnUNetTrainerSemiSAM, generalist=chosen).teachers == pytest.approx(4 * of_one, rel=0.05)


def test_teachers_that_are_switched_off_take_nothing():
    both, one = step(nnUNetTrainerMuDuo), step(nnUNetTrainerMuDuo, ct_teacher=None)
    of_one = sum(parameter.numel() for parameter in small_sam().parameters())
    assert both.teachers - one.teachers == pytest.approx(4 * of_one, rel=0.05)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    monkeypatch.delenv("nnUNet_raw", raising=False)
    step(nnUNetTrainerMuDuoSupervised)
    assert os.environ["nnUNet_results"] == str(tmp_path)
    assert "nnUNet_raw" not in os.environ
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr().out == ""
    assert not torch.is_autocast_enabled("cpu")


def unet_parameters() -> int:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    manager = PlansManager(unet_plans(patch_size=PATCH, features=4))
    network = nnUNetTrainer.build_network_architecture(manager, manager.get_configuration("3d_fullres"), 2, 3)
    return sum(parameter.numel() for parameter in network.parameters())
