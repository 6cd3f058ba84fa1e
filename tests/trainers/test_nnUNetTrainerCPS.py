"""Cross pseudo supervision against two networks stepped by hand."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fabricated_training import batch, never_compiles, trainers_in, weights
from torch.nn.functional import cross_entropy

from nnunetv2_muduo.semisupervised.second_student import SecondStudent
from nnunetv2_muduo.trainers.nnUNetTrainerCPS import nnUNetTrainerCPS
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_trainer = trainers_in(tmp_path, monkeypatch)

    def made(trainer_class: type = nnUNetTrainerCPS, **settings):
        given = {"ramp_fraction": 0, "consistency_weight": 0.5} | settings
        return make_trainer(trainer_class=trainer_class, **given)

    return made


def second(trainer: nnUNetTrainerCPS) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.second.network.parameters()])


def test_students_begin_apart_and_the_first_as_in_every_other_training_of_that_seed(make):
    trainer, stock = make(), make(nnUNetTrainerMuDuoSupervised)
    assert torch.equal(weights(trainer), weights(stock))
    assert not torch.allclose(second(trainer), weights(trainer), atol=1e-2)
    assert torch.equal(second(make()), second(trainer))
    assert not torch.equal(second(make(seed=1)), second(trainer))


def test_the_second_students_seed_leaves_all_other_draws_alone(make):
    draws = []
    for trainer_class in (nnUNetTrainerCPS, nnUNetTrainerMuDuoSupervised):
        make(trainer_class)
        draws.append(torch.rand(3))
    assert torch.equal(*draws)


def test_the_second_students_seed_leaves_gpus_alone(make, monkeypatch: pytest.MonkeyPatch):
    trainer, seeded = make(), []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    SecondStudent(trainer)
    trainer.settings = replace(trainer.settings, seed=None)
    SecondStudent(trainer)
    assert not seeded


def test_labels_are_asked_for_without_compiling(make):
    trainer, image = make(), batch()["unlabelled"]["image"]
    expected = trainer.second.labels(image)
    trainer.second.network = torch.compile(trainer.second.network, backend=never_compiles)
    assert torch.equal(trainer.second.labels(image), expected)


def test_each_student_scales_its_own_loss(make):
    plain, scaled = make(), make()
    scaled.grad_scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaled.second = SecondStudent(scaled)
    scaled.second.grad_scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for trainer in (plain, scaled):
        trainer.train_step(batch())
    assert torch.allclose(weights(scaled), weights(plain), atol=1e-5)
    assert torch.allclose(second(scaled), second(plain), atol=1e-5)
    assert scaled.grad_scaler.get_scale() == 1024
    assert scaled.second.grad_scaler.get_scale() == 4
    resumed = make()
    resumed.grad_scaler = torch.amp.GradScaler("cpu")
    resumed.second = SecondStudent(resumed)
    resumed.second.restore(scaled.second.state())
    assert resumed.second.grad_scaler.get_scale() == 4


def test_both_steps_are_those_of_two_networks_that_answer_before_either_moves(make):
    trainer = make()
    networks = [copy.deepcopy(trainer.network), copy.deepcopy(trainer.second.network)]
    optimizers = [
        torch.optim.SGD(n.parameters(), 0.01, momentum=0.99, weight_decay=3e-5, nesterov=True) for n in networks
    ]
    for step in range(3):
        given = batch(step)
        images = torch.cat([given["data"], given["unlabelled"]["image"]])
        outputs = [network(images) for network in networks]
        labels = [output[0][2:].detach().argmax(1) for output in outputs]
        for own, other in ((0, 1), (1, 0)):
            supervised = trainer.loss([scale[:2] for scale in outputs[own]], given["target"])
            loss = supervised + 0.5 * cross_entropy(outputs[own][0][2:], labels[other])
            optimizers[own].zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(networks[own].parameters(), 12)
            optimizers[own].step()
        outcome = trainer.train_step(given)
        agree = float((labels[0] == labels[1]).float().mean())
        assert outcome["students_agree"] == pytest.approx(agree, abs=2e-3)
        expected = float(cross_entropy(outputs[1][0][2:].detach(), labels[0]))
        assert outcome["second_consistency_losses"] == pytest.approx(expected, rel=2e-3)
    for trained, network in zip((weights(trainer), second(trainer)), networks, strict=True):
        by_hand = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
        assert torch.allclose(trained, by_hand, atol=2e-5)
    assert trainer.iteration == 3


def test_warm_up_trains_both_on_labels_alone(make):
    trainer, stock = make(warmup_epochs=1), make(nnUNetTrainerMuDuoSupervised)
    before = second(trainer).clone()
    outcome = trainer.train_step(batch())
    stock.train_step({key: batch()[key] for key in ("data", "target")})
    assert torch.equal(weights(trainer), weights(stock))
    assert not torch.equal(second(trainer), before)
    assert outcome["students_agree"] != outcome["students_agree"]
    assert outcome["second_supervised_losses"] > 0


def test_the_second_student_follows_the_schedule(make):
    trainer = make()
    for parts in (trainer, trainer.second):
        assert parts.optimizer.param_groups[0]["lr"] == 0.01
    trainer.current_epoch = 5
    trainer.logger.local_logger.my_fantastic_logging["lrs"] = [0.1] * 5
    trainer.second.network.eval()
    trainer.on_train_epoch_start()
    assert trainer.second.optimizer.param_groups[0]["lr"] == pytest.approx(0.01 * 0.5**0.9)
    assert trainer.second.network.training
    assert make(optimizer="adamw").second.optimizer.param_groups[0]["lr"] == 0.001


@pytest.mark.parametrize("predict_with", ["student", "ema"])
def test_a_resumed_training_goes_on_with_both_students(make, tmp_path: Path, predict_with: str):
    trainer = make(predict_with=predict_with)
    for step in range(3):
        trainer.train_step(batch(step))
    for values in trainer.logger.get_checkpoint().values():
        values.append(0.5)
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    resumed = make(continues=True, predict_with=predict_with)
    resumed.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    assert torch.equal(weights(resumed), weights(trainer))
    assert torch.equal(second(resumed), second(trainer))
    for one in (trainer, resumed):
        one.train_step(batch(9))
    assert torch.equal(weights(resumed), weights(trainer)), "the first optimiser's momentum came back"
    assert torch.equal(second(resumed), second(trainer)), "and the second's"
    if predict_with == "ema":
        for mine, theirs in zip(resumed.ema.network.parameters(), trainer.ema.network.parameters(), strict=True):
            assert torch.equal(mine, theirs)


def test_a_stock_checkpoint_can_be_continued_with_a_new_second_student(make, tmp_path: Path):
    stock = make(nnUNetTrainerMuDuoSupervised)
    stock.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    trainer = make()
    before = second(trainer).clone()
    trainer.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    assert torch.equal(weights(trainer), weights(stock))
    assert torch.equal(second(trainer), before)


def test_the_average_is_one_of_the_first_student(make):
    trainer = make(predict_with="ema", ema_decay=0.5)
    expected = None
    for step in range(3):
        trainer.train_step(batch(step))
        decay = min(1 - 1 / (step + 1), 0.5)
        expected = weights(trainer) if expected is None else decay * expected + (1 - decay) * weights(trainer)
    averaged = torch.cat([parameter.flatten() for parameter in trainer.ema.network.parameters()])
    assert torch.allclose(averaged, expected, atol=1e-6)
    assert trainer.ema.steps == 3
