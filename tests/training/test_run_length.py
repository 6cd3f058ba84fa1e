from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from fabricated_training import PATCH, nnUNetTrainerPull, trainers_in
from planned_dataset import unet_plans

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.trainers.nnUNetTrainerLinearProbe import nnUNetTrainerLinearProbe
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.training.run_length import SCHEDULE, refuse_changed_schedule, set_run_length


def trainer() -> SimpleNamespace:
    return SimpleNamespace(
        num_epochs=1000,
        num_iterations_per_epoch=250,
        num_val_iterations_per_epoch=50,
        save_every=50,
        local_rank=0,
    )


def test_without_settings_nnunets_own_length_stays():
    stock = trainer()
    set_run_length(stock, Settings(), epochs=None)
    assert (stock.num_epochs, stock.num_iterations_per_epoch, stock.save_every) == (1000, 250, 50)


def test_short_runs_are_shorter_and_saved_more_often():
    short = trainer()
    set_run_length(short, Settings(iterations_per_epoch=7, val_iterations_per_epoch=3), epochs=20)
    assert (short.num_epochs, short.num_iterations_per_epoch, short.num_val_iterations_per_epoch) == (20, 7, 3)
    assert short.save_every == 2


def test_same_seed_gives_the_same_first_numbers():
    set_run_length(trainer(), Settings(seed=3), epochs=None)
    first = torch.rand(3)
    set_run_length(trainer(), Settings(seed=3), epochs=None)
    assert torch.equal(first, torch.rand(3))


def test_resuming_with_another_epoch_count_is_refused_by_name():
    with pytest.raises(UserError, match="'num_epochs' was 100 when this training began and is now 50"):
        refuse_changed_schedule({"muduo": {"num_epochs": 100}}, {"muduo": {"num_epochs": 50}}, SCHEDULE)


def test_resuming_with_other_teachers_is_allowed():
    refuse_changed_schedule({"muduo": {"ct_teacher": "a.pth"}}, {"muduo": {"ct_teacher": "b.pth"}}, SCHEDULE)


@pytest.mark.parametrize(
    ("trainer_class", "settings", "refused"),
    [
        (nnUNetTrainerMuDuoSupervised, {"num_epochs": 20}, True),
        (nnUNetTrainerMuDuoSupervised, {"predict_with": "ema"}, True),
        (nnUNetTrainerMuDuoSupervised, {"optimizer": "adamw"}, True),
        (nnUNetTrainerMuDuoSupervised, {"consistency_weight": 0.5}, False),
        (nnUNetTrainerPull, {"consistency_weight": 0.5}, True),
        (nnUNetTrainerLinearProbe, {"initial_lr": 0.5}, True),
        (nnUNetTrainerLinearProbe, {"predict_with": "ema"}, False),
        (nnUNetTrainerMuDuoPrompt, {"num_epochs": 20}, False),
        (nnUNetTrainerMuDuoPrompt, {"optimizer": "adamw"}, True),
    ],
)
def test_each_trainer_refuses_what_shapes_its_own_schedule(tmp_path, monkeypatch, trainer_class, settings, refused):
    make = trainers_in(tmp_path, monkeypatch)
    begun = make(trainer_class=trainer_class)
    for parameter in begun.network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    begun.optimizer.step()  # has a state from now on, which another optimiser cannot load
    begun.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    now = make(trainer_class=trainer_class, continues=True, **settings)
    with pytest.raises(UserError, match=f"'{next(iter(settings))}' was") if refused else nullcontext():
        now.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    make(trainer_class=trainer_class, **settings).load_checkpoint(str(tmp_path / "checkpoint.pth"))  # --val alone


def test_a_training_that_goes_on_with_other_settings_tells_which_changed(tmp_path, monkeypatch):
    make = trainers_in(tmp_path, monkeypatch)
    make(trainer_class=nnUNetTrainerMuDuoSupervised, mirroring=False).save_checkpoint(str(tmp_path / "checkpoint.pth"))

    def told(**settings) -> list[str]:
        trainer, said = make(trainer_class=nnUNetTrainerMuDuoSupervised, **settings), []
        trainer.print_to_log_file = lambda *words, **_: said.append(" ".join(map(str, words)))
        trainer.load_checkpoint(str(tmp_path / "checkpoint.pth"))
        return [line for line in said if "settings changed" in line]

    (line,) = told(continues=True)  # the plans were made anew, say
    assert line.endswith("since this training began: mirroring from False to True")
    assert told(continues=True, mirroring=False) == []
    assert told() == []  # --val


@pytest.mark.parametrize("continues", [True, False])
def test_a_checkpoint_of_another_network_is_one_sentence_that_names_the_plans_of_then(tmp_path, monkeypatch, continues):
    make, file = trainers_in(tmp_path, monkeypatch), str(tmp_path / "checkpoint.pth")
    make(trainer_class=nnUNetTrainerMuDuoSupervised).save_checkpoint(file)
    monkeypatch.setattr("fabricated_training.unet_plans", lambda **_: unet_plans(patch_size=PATCH, features=8))
    larger = make(trainer_class=nnUNetTrainerMuDuoSupervised, continues=continues)
    with pytest.raises(UserError, match=r"checkpoint.pth: its network is another .*nnUNetPlans__3d_fullres/plans.json"):
        larger.load_checkpoint(file)
