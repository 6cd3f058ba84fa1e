"""The average of the student in nnU-Net's loop: kept, saved, restored, validated and predicted with."""

from pathlib import Path

import pytest
import torch
from fabricated_training import batch, nnUNetTrainerPull, trainers_in, weights
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.training.ema_trainer import STATE_KEY


class nnUNetTrainerAveraged(nnUNetTrainerPull):  # noqa: N801
    """Is taught by its average, or could be."""

    needs_ema = True


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    return trainers_in(tmp_path, monkeypatch)


def average(trainer: nnUNetTrainerPull) -> Tensor:
    return torch.cat([parameter.flatten() for parameter in trainer.ema.network.parameters()])


def stepped(trainer: nnUNetTrainerPull, steps: int = 3) -> nnUNetTrainerPull:
    for step in range(steps):
        trainer.train_step(batch(step))
    return trainer


def saved(trainer: nnUNetTrainerPull, path: Path) -> Path:
    for values in trainer.logger.get_checkpoint().values():  # as if an epoch had been logged
        values.append(0.5)
    trainer.save_checkpoint(str(path))
    return path


def in_checkpoint(path: Path, trainer: nnUNetTrainerPull) -> Tensor:
    stored = torch.load(path, weights_only=False)["network_weights"]
    return torch.cat([stored[name].flatten() for name, _ in trainer.network.named_parameters()])


def test_without_need_there_is_no_average_and_the_checkpoint_is_nnunets(make, tmp_path: Path):
    trainer = stepped(make())
    assert trainer.ema is None
    path = saved(trainer, tmp_path / "checkpoint.pth")
    assert set(torch.load(path, weights_only=False)) == {
        "network_weights", "optimizer_state", "grad_scaler_state", "logging", "_best_ema", "current_epoch", "init_args",
        "trainer_name", "inference_allowed_mirroring_axes",
    }  # fmt: skip


def test_average_follows_every_step_with_and_without_unlabelled_patches(make):
    trainer = make(predict_with="ema", ema_decay=0.5, warmup_epochs=1)
    expected = None
    for step in range(4):  # two of them in the warm-up
        trainer.train_step(batch(step))
        decay = min(1 - 1 / (step + 1), 0.5)
        expected = weights(trainer) if expected is None else decay * expected + (1 - decay) * weights(trainer)
    assert torch.allclose(average(trainer), expected, atol=1e-6)
    assert not torch.allclose(weights(trainer), expected, atol=1e-3)


def test_averaging_does_not_change_the_student(make):
    assert torch.equal(weights(stepped(make())), weights(stepped(make(predict_with="ema"))))


@pytest.mark.parametrize("predict_with", ["student", "ema"])
def test_a_resumed_training_has_both_networks_bit_for_bit(make, tmp_path: Path, predict_with: str):
    settings = {"trainer_class": nnUNetTrainerAveraged, "predict_with": predict_with}
    trainer = stepped(make(**settings))
    path = saved(trainer, tmp_path / "checkpoint.pth")
    shown = average(trainer) if predict_with == "ema" else weights(trainer)
    assert torch.equal(in_checkpoint(path, trainer), shown)
    resumed = make(continues=True, **settings, seed=5)
    resumed.load_checkpoint(str(path))
    assert torch.equal(weights(resumed), weights(trainer))
    assert torch.equal(average(resumed), average(trainer))
    assert resumed.ema.steps == 3
    resumed.iteration = trainer.iteration  # the fabricated epoch ended in its middle
    for one in (trainer, resumed):
        one.train_step(batch(9))
    assert torch.equal(weights(resumed), weights(trainer))
    assert torch.equal(average(resumed), average(trainer))


def test_each_validates_what_it_will_predict_with(make, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(nnUNetTrainer, "perform_actual_validation", lambda self, npz: seen.append(weights(self)))
    monkeypatch.setattr(nnUNetTrainer, "on_validation_epoch_end", lambda self, outputs: None)
    for predict_with in ("student", "ema"):
        trainer = stepped(make(trainer_class=nnUNetTrainerAveraged, predict_with=predict_with))
        student, mean = weights(trainer).clone(), average(trainer).clone()
        judged = mean if predict_with == "ema" else student
        trainer.on_validation_epoch_start()
        assert torch.equal(weights(trainer), judged)
        trainer.on_validation_epoch_end([])
        trainer.perform_actual_validation()
        assert torch.equal(seen[-1], judged)
        assert torch.equal(weights(trainer), student)
        assert torch.equal(average(trainer), mean)


def test_validation_alone_follows_todays_setting(make, tmp_path: Path):
    trainer = stepped(make(predict_with="ema"))
    path = saved(trainer, tmp_path / "checkpoint.pth")
    plain = make()  # as nnUNetv2_train --val makes it
    plain.load_checkpoint(str(path))
    assert plain.ema is None
    assert torch.equal(weights(plain), weights(trainer))


def test_a_checkpoint_without_an_average_lets_it_begin_at_the_network(make, tmp_path: Path):
    path = saved(stepped(make()), tmp_path / "checkpoint.pth")
    trainer = make(predict_with="ema", seed=5)
    trainer.load_checkpoint(str(path))
    assert torch.equal(average(trainer), weights(trainer))
    assert trainer.ema.steps == 0


@pytest.mark.parametrize("changed", [{"predict_with": "student"}, {"ema_decay": 0.5}])
def test_continuing_another_kind_of_average_is_refused(make, tmp_path: Path, changed: dict):
    path = saved(stepped(make(predict_with="ema")), tmp_path / "checkpoint.pth")
    with pytest.raises(UserError, match=next(iter(changed))):
        make(continues=True, **({"predict_with": "ema"} | changed)).load_checkpoint(str(path))


def test_pretrained_weights_are_where_the_average_begins(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nnUNetTrainer, "on_train_start", lambda self: None)
    path = saved(stepped(make(predict_with="ema")), tmp_path / "checkpoint.pth")
    trainer = make(trainer_class=nnUNetTrainerMuDuoSupervised, predict_with="ema", seed=5)
    load_pretrained_weights(trainer.network, str(path))
    assert not torch.equal(average(trainer), weights(trainer))
    trainer.on_train_start()
    assert torch.equal(average(trainer), weights(trainer))
    stored = torch.load(path, weights_only=False)["network_weights"]
    name = "encoder.stages.0.0.convs.0.conv.weight"
    assert torch.equal(trainer.network.state_dict()[name], stored[name]), "what is transferred is the average"


def test_a_resumed_average_is_not_begun_anew(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nnUNetTrainer, "on_train_start", lambda self: None)
    settings = {"trainer_class": nnUNetTrainerMuDuoSupervised, "predict_with": "ema"}
    trainer = make(**settings)
    for step in range(3):
        trainer.train_step({key: batch(step)[key] for key in ("data", "target")})
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    resumed = make(continues=True, **settings)
    resumed.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    resumed.on_train_start()
    assert torch.equal(average(resumed), average(trainer))
    assert not torch.equal(average(resumed), weights(resumed))


@pytest.fixture
def one_process():
    """A process group of one, as nnU-Net's -num_gpus makes them of several; trainers made before know nothing of it."""

    def start() -> None:
        torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)

    yield start
    torch.distributed.destroy_process_group()


def test_the_average_lies_below_the_wrappers(make, one_process):
    plain, wrapped = make(predict_with="ema"), make(predict_with="ema")
    one_process()
    # nnU-Net's loss leaves the smallest output out unless it knows of the group
    wrapped.network = torch.nn.parallel.DistributedDataParallel(wrapped.network, find_unused_parameters=True)
    for trainer in (plain, wrapped):
        for step in range(2):
            trainer.train_step(batch(step))
    assert torch.allclose(average(wrapped), average(plain), atol=1e-6)
    compiled = torch.compile(wrapped.network.module, backend="eager")  # never run: that would take long
    wrapped.network = torch.nn.parallel.DistributedDataParallel(compiled)
    with wrapped.weights_to_predict_with():
        assert torch.allclose(weights(wrapped), average(plain), atol=1e-6)
        state = wrapped.checkpoint_entries()[STATE_KEY]
    assert set(state["ema"]["the_other_weights"]) == set(plain.network.state_dict())


def test_what_the_average_says_has_no_gradients(make):
    trainer = make(predict_with="ema")
    image = batch()["unlabelled"]["image"].requires_grad_()
    said = trainer.ema_logits(image)
    assert said.shape == (2, 3, *image.shape[2:])
    assert said.dtype == torch.float32
    assert not said.requires_grad
    trainer.network.train()
    assert torch.equal(said, trainer.network(image)[0]), "at first it is the student"
