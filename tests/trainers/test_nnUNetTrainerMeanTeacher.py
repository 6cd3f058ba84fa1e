"""Mean Teacher's step against its formula."""

from pathlib import Path

import pytest
import torch
from fabricated_training import batch, trainers_in, weights

from nnunetv2_muduo.distillation import clipped_noise
from nnunetv2_muduo.trainers.nnUNetTrainerMeanTeacher import nnUNetTrainerMeanTeacher


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_trainer = trainers_in(tmp_path, monkeypatch)

    def made(**settings) -> nnUNetTrainerMeanTeacher:
        given = {"ramp_fraction": 0, "consistency_weight": 0.5} | settings
        return make_trainer(trainer_class=nnUNetTrainerMeanTeacher, **given)

    return made


def averaged(trainer: nnUNetTrainerMeanTeacher) -> torch.Tensor:
    return torch.cat([parameter.flatten() for parameter in trainer.ema.network.parameters()])


def test_loss_is_the_squared_difference_to_the_averages_answer_for_the_clean_noisy_patch(make):
    trainer = make()
    for step in range(2):
        trainer.train_step(batch(step))
    assert not torch.equal(averaged(trainer), weights(trainer))
    given = batch(2)
    trainer.noise.manual_seed(3)
    clean = given["unlabelled"]["clean"]
    noise = clipped_noise(clean.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        teacher = trainer.ema.network(clean + noise)[0].softmax(1)
        student = trainer.network(torch.cat([given["data"], given["unlabelled"]["image"]]))[0][2:].softmax(1)
    expected = float(((student - teacher) ** 2).mean())
    outcome = trainer.train_step(given)
    assert expected > 0
    assert outcome["consistency_losses"] == pytest.approx(expected, rel=1e-4)
    assert float(outcome["loss"]) == pytest.approx(outcome["supervised_losses"] + 0.5 * expected, rel=1e-5)


def test_no_gradient_reaches_the_average(make):
    trainer = make()
    trainer.train_step(batch())
    assert all(parameter.grad is None for parameter in trainer.ema.network.parameters())
    assert not {id(p) for p in trainer.ema.network.parameters()} & {
        id(p) for group in trainer.optimizer.param_groups for p in group["params"]
    }


def test_the_average_alone_draws_the_student_to_itself(make):
    """With a teacher that differs from the student, the consistency loss changes what the student learns."""
    with_teacher, without = make(consistency_weight=10), make(consistency_weight=0)
    for trainer in (with_teacher, without):
        for parameter in trainer.ema.network.parameters():
            parameter.add_(0.1)
        trainer.train_step(batch())
    assert not torch.allclose(weights(with_teacher), weights(without), atol=1e-4)


def test_warm_up_leaves_the_teacher_out_but_keeps_averaging(make):
    trainer = make(warmup_epochs=1)
    outcome = trainer.train_step(batch())
    assert outcome["consistency_losses"] != outcome["consistency_losses"], "nothing is compared"
    assert torch.equal(averaged(trainer), weights(trainer)), "the first step is the whole mean"
    trainer.iteration = trainer.num_iterations_per_epoch
    assert trainer.train_step(batch())["consistency_losses"] >= 0


def test_a_resumed_epoch_draws_the_noise_it_would_have_drawn(make):
    drawn = []
    for epochs in ((0, 1), (1,)):
        trainer = make()
        for epoch in epochs:
            trainer.current_epoch = epoch
            trainer.logger.local_logger.my_fantastic_logging["lrs"] = [0.1] * epoch
            trainer.on_train_epoch_start()
        drawn.append(torch.rand(3, generator=trainer.noise))
    assert torch.equal(*drawn)
