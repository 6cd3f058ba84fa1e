"""What all our trainers share: here, what they tell when a training starts, and their final validation."""

from pathlib import Path

import pytest
from fabricated_training import nnUNetTrainerPull, trainers_in
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.cases.unlabelled import UnlabelledSummary
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.swin.trainers import SwinDownstreamTrainer, SwinLinearProbeTrainer
from nnunetv2_muduo.trainers.nnUNetTrainerLinearProbe import nnUNetTrainerLinearProbe
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoPrompt import nnUNetTrainerMuDuoPrompt
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.training import configured
from nnunetv2_muduo.training.configured import ConfiguredTrainer
from nnunetv2_muduo.transfer.downstream import DownstreamTrainer

NO_SCANS = UnlabelledSummary(Path("nowhere"), (), (), (), {})


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """How often a trainer's log says, until nnU-Net's part of the start, that predict_with means nothing to it."""
    make = trainers_in(tmp_path, monkeypatch)
    monkeypatch.setattr(nnUNetTrainer, "on_train_start", lambda self: None)  # here is nothing to train on
    monkeypatch.setattr(nnUNetTrainerPull, "prepare_unlabelled_scans", lambda self: NO_SCANS)

    def count(trainer_class: type, **settings) -> int:
        trainer = make(trainer_class=trainer_class, **settings)
        trainer.has_weights = True  # as a linear probe wants it
        Path(trainer.log_file).write_text("")  # of several that are made in one second
        trainer.on_train_start()
        lines = Path(trainer.log_file).read_text().splitlines()
        return sum("mean nothing to" in line and "predict_with" in line for line in lines)

    return count


@pytest.mark.parametrize("trainer_class", [ConfiguredTrainer, DownstreamTrainer, nnUNetTrainerLinearProbe])
def test_trainers_without_an_average_say_once_that_it_cannot_predict(told, trainer_class: type):
    assert told(trainer_class, predict_with="ema") == 1
    assert told(trainer_class, predict_with="student") == told(trainer_class) == 0


@pytest.mark.parametrize("trainer_class", [nnUNetTrainerMuDuoSupervised, nnUNetTrainerPull, nnUNetTrainerMuDuoPrompt])
def test_trainers_with_an_average_and_the_prompt_generator_of_one_do_not(told, trainer_class: type):
    assert told(trainer_class, predict_with="ema") == 0


@pytest.mark.parametrize("trainer_class", [SwinDownstreamTrainer, SwinLinearProbeTrainer])
def test_those_of_other_networks_are_no_exception(trainer_class: type):
    assert trainer_class.asks_for_an_average == ConfiguredTrainer.asks_for_an_average != ()


def test_a_folder_for_temporary_files_that_takes_no_sockets_is_told_before_the_training_not_after_it(
    told, monkeypatch: pytest.MonkeyPatch
):
    def refuse() -> None:
        raise UserError("set TMPDIR")

    monkeypatch.setattr(configured, "refuse_folder_without_sockets", refuse)
    with pytest.raises(UserError, match="set TMPDIR"):
        told(ConfiguredTrainer)


def test_a_next_stage_is_predicted_where_it_is_preprocessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trainer = trainers_in(tmp_path, monkeypatch)(trainer_class=ConfiguredTrainer)
    configurations = trainer.plans_manager.plans["configurations"]
    configurations["cascade"] = {"inherits_from": "3d_fullres", "data_identifier": "cascade_data"}
    trainer.configuration_manager.configuration["next_stage"] = "cascade"
    seen = []
    monkeypatch.setattr(
        nnUNetTrainer, "perform_actual_validation", lambda self, npz: seen.append(self.configuration_manager)
    )
    trainer.perform_actual_validation()
    Path(trainer.preprocessed_dataset_folder_base, "cascade_data").mkdir()
    trainer.perform_actual_validation()
    assert [configuration.next_stage_names for configuration in seen] == [None, ["cascade"]]
    assert "next stage cascade, which is not preprocessed" in Path(trainer.log_file).read_text()
