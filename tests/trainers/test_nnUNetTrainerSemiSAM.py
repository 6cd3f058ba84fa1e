"""SemiSAM's step against its formula, with a generalist whose answers are known."""

from pathlib import Path

import pytest
import torch
from fabricated_training import batch, never_compiles, trainers_in
from stub_teachers import EchoTeacher

from nnunetv2_muduo.distillation import clipped_noise
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.trainers.nnUNetTrainerSemiSAM import nnUNetTrainerSemiSAM


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_trainer = trainers_in(tmp_path, monkeypatch)

    def made(**settings) -> nnUNetTrainerSemiSAM:
        given = {"ramp_fraction": 0, "consistency_weight": 0.5} | settings
        trainer = make_trainer(trainer_class=nnUNetTrainerSemiSAM, **given)
        trainer.generalist = EchoTeacher()
        trainer.prepare_consistency()
        return trainer

    return made


def test_loss_is_that_of_mean_teacher_and_the_distance_to_the_generalists_mask(make):
    trainer, given = make(), batch()
    clean, noise = given["unlabelled"]["clean"], torch.Generator().manual_seed(3)
    with torch.no_grad():
        teacher = trainer.ema.network(clean + clipped_noise(clean.shape, generator=noise))[0].softmax(1)
        student = trainer.network(torch.cat([given["data"], given["unlabelled"]["image"]]))[0][2:].softmax(1)
    said = trainer.teaching.label(trainer.patches_of(given["unlabelled"]), student[:, 1:])
    organs = []
    for k in range(2):
        patches = [
            ((student[b, k + 1] - (said.p_ct[b, k] > 0.5).float()) ** 2).mean() for b in range(2) if said.valid[b, k]
        ]
        organs += [sum(patches) / len(patches)] if patches else []
    by_generalist = float(sum(organs) / len(organs))
    by_average = float(((student - teacher) ** 2).mean())

    trainer.noise.manual_seed(3)
    outcome = trainer.train_step(given)
    assert outcome["generalist_losses"] == pytest.approx(by_generalist, rel=1e-3)
    assert outcome["consistency_losses"] == pytest.approx(by_average, rel=1e-2)
    expected = outcome["supervised_losses"] + 0.5 * (by_generalist + by_average)
    assert float(outcome["loss"]) == pytest.approx(expected, rel=1e-4)
    assert outcome["share_prompted"].tolist() == said.valid.float().mean(0).tolist()
    assert all(parameter.grad is None for parameter in trainer.generalist.parameters())
    assert all(parameter.grad is None for parameter in trainer.ema.network.parameters())


def test_the_generalist_is_told_how_the_plans_transpose_scans(make):
    trainer = make()
    assert trainer.teaching.axes == (0, 1, 2)
    trainer.plans_manager.plans["transpose_forward"] = [1, 0, 2]
    trainer.prepare_consistency()
    assert trainer.teaching.axes == (1, 0, 2)


def test_weights_of_organs_reach_the_generalists_loss(make):
    trainer = make(reliability="report")
    trainer.organ_weights = torch.zeros(2)
    assert trainer.train_step(batch())["generalist_losses"] == 0


@pytest.mark.parametrize(("generalist", "missing"), [("ct", "ct_teacher"), ("pet", "pet_teacher")])
def test_a_generalist_that_is_switched_off_is_refused(make, generalist: str, missing: str):
    trainer = make(generalist=generalist, **{missing: None})
    with pytest.raises(UserError, match=f"'{missing}' is null"):
        trainer.load_teachers()


def test_the_generalist_is_the_teacher_the_settings_name(make):
    for generalist in ("ct", "pet"):
        trainer = make(generalist=generalist, ct_teacher="standin_ct", pet_teacher="standin_pet")
        trainer.load_teachers()
        log = Path(trainer.log_file).read_text()
        assert f"Teacher standin_{generalist}" in log


def test_the_report_on_teachers_compiles_nothing(make):
    """It comes before the first step, with batches of its own size."""
    trainer, given = make(), batch()
    labels = torch.ones(2, 1, *given["unlabelled"]["image"].shape[2:], dtype=torch.int64)
    trainer.monitor.report_patches = [(trainer.patches_of(given["unlabelled"]), labels)]
    expected = trainer.monitor.report(trainer.teaching).dice["student"]
    trainer.network = torch.compile(trainer.network, backend=never_compiles)
    assert (trainer.monitor.report(trainer.teaching).dice["student"] == expected)[0]
    assert trainer.network.training
