"""Pretraining and fine-tuning of the smallest size for real, on phantoms of 20 mm, a step or two each."""

import json
import shlex
from pathlib import Path

import pytest
import torch
from monai_extra import needs_monai
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunetv2_muduo import cli
from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAESwin import nnUNetTrainerPETCTMAESwin
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTSwin import nnUNetTrainerPETCTSwin
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTSwinLinearProbe import nnUNetTrainerPETCTSwinLinearProbe

pytestmark = needs_monai
ALL = (nnUNetTrainerPETCTMAESwin, nnUNetTrainerPETCTSwin, nnUNetTrainerPETCTSwinLinearProbe)
HEAD = {"decoder.seg_layers.0.weight", "decoder.seg_layers.0.bias"}


def weights(trainer: nnUNetTrainer) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in trainer.network.state_dict().items()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture
def checkpoint(dataset, tmp_path: Path) -> Path:
    """Of a pretraining that has yet to begin."""
    trainer = dataset.trainer(nnUNetTrainerPETCTMAESwin)
    trainer.initialize()
    trainer.save_checkpoint(str(tmp_path / "pretrained.pth"))
    return tmp_path / "pretrained.pth"


@pytest.mark.parametrize("trainer_class", ALL)
def test_the_log_names_the_network_that_is_trained(dataset, trainer_class):
    trainer = dataset.trainer(trainer_class)
    trainer.print_plans()
    assert "a SwinUNETR-v2 (size 'small') instead of the planned network" in Path(trainer.log_file).read_text()


def test_a_pretraining_that_is_resumed_ends_as_the_uninterrupted_one(dataset):
    straight = dataset.trainer(nnUNetTrainerPETCTMAESwin)
    straight.run_training()
    latest = Path(straight.output_folder, "checkpoint_latest.pth")
    interrupted = dataset.trainer(nnUNetTrainerPETCTMAESwin)
    interrupted.on_train_start()
    start = weights(interrupted)
    interrupted.on_epoch_start()
    interrupted.on_train_epoch_start()
    interrupted.on_train_epoch_end([interrupted.train_step(next(interrupted.dataloader_train))])
    with torch.no_grad():
        interrupted.on_validation_epoch_start()
        interrupted.on_validation_epoch_end([interrupted.validation_step(next(interrupted.dataloader_val))])
    interrupted.on_epoch_end()
    resumed = dataset.trainer(nnUNetTrainerPETCTMAESwin, continues=True)
    resumed.load_checkpoint(str(latest))
    assert resumed.current_epoch == 1
    resumed.run_training()
    assert not changed(weights(straight), weights(resumed))
    assert changed(start, weights(resumed)) > HEAD


def test_a_pretraining_tells_its_source_and_size(checkpoint: Path):
    told = torch.load(checkpoint, weights_only=False)["mae_provenance"]
    assert told["source"] == "nnUNetTrainerPETCTMAESwin"
    assert told["settings"]["swin"] == "small"
    assert told["architecture"]["network_class_name"] == "monai.networks.nets.SwinUNETR"


def test_nnunet_is_not_let_predict_with_a_pretraining(dataset):
    trainer = dataset.trainer(nnUNetTrainerPETCTMAESwin)
    with pytest.raises(UserError, match="segments nothing"):  # asked as nnU-Net's predictor does
        trainer.build_network_architecture(
            trainer.plans_manager, trainer.configuration_manager, 2, 7, enable_deep_supervision=False
        )


def test_continuing_with_another_size_is_refused(dataset, checkpoint: Path):
    other = dataset.trainer(nnUNetTrainerPETCTMAESwin, continues=True, mae={"swin": "base"})
    with pytest.raises(UserError, match=r"'mae.swin' was small .* now base"):
        other.load_checkpoint(str(checkpoint))


def test_fine_tuning_takes_everything_but_the_head_and_learns(dataset, checkpoint: Path):
    trainer = dataset.trainer(nnUNetTrainerPETCTSwin, fold=0)
    trainer.on_train_start()
    load_pretrained_weights(trainer.network, str(checkpoint))
    pretrained = torch.load(checkpoint, weights_only=False)["network_weights"]
    before = weights(trainer)
    assert list(before) == list(pretrained)
    assert before["decoder.seg_layers.0.bias"].shape == (7,)
    assert changed({name: pretrained[name] for name in pretrained if name not in HEAD}, before) == set()
    assert not trainer.enable_deep_supervision
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    trainer.train_step(next(trainer.dataloader_train))
    learning = {name for name, _ in trainer.network.named_parameters()}
    moved = changed(before, weights(trainer))
    assert moved <= learning
    assert moved >= HEAD
    assert len(moved) > 0.9 * len(learning)


def test_the_published_optimiser_and_length_unless_set(dataset):
    trainer = dataset.trainer(nnUNetTrainerPETCTSwin, fold=0, muduo={"num_epochs": None})
    trainer.initialize()
    assert type(trainer.optimizer) is torch.optim.AdamW
    assert (trainer.initial_lr, trainer.num_epochs) == (5e-4, 100)
    other = dataset.trainer(nnUNetTrainerPETCTSwin, fold=0, muduo={"optimizer": "sgd", "initial_lr": 0.1})
    assert (other.settings.optimizer, other.initial_lr, other.num_epochs) == ("sgd", 0.1, 2)


def test_a_linear_probe_finds_the_output_layer(dataset, checkpoint: Path):
    trainer = dataset.trainer(nnUNetTrainerPETCTSwinLinearProbe, fold=0)
    trainer.initialize()
    load_pretrained_weights(trainer.network, str(checkpoint))
    assert trainer.has_weights
    before = weights(trainer)
    trainer.on_train_epoch_start()
    target = torch.zeros(1, 1, 32, 32, 64)
    target[..., :8] = 1
    trainer.train_step({"data": torch.randn(1, 2, 32, 32, 64), "target": target})
    assert changed(before, weights(trainer)) == HEAD


@pytest.mark.parametrize("trainer_class", ALL)
class TestRefusals:
    """Before anything is written."""

    def test_a_patch_that_cannot_be_halved_five_times(self, dataset, trainer_class, monkeypatch):
        dataset.configuration["patch_size"] = [96, 112, 40]
        with pytest.raises(UserError, match="are 96 x 112 x 40; 96 x 96 x 32 or 96 x 128 x 64 would do") as refusal:
            dataset.trainer(trainer_class)
        assert not list(dataset.results.iterdir())
        self._follow(str(refusal.value), dataset, monkeypatch)
        written = json.loads((dataset.preprocessed / "nnUNetPlansSwin.json").read_text())
        assert written["configurations"]["3d_fullres"]["patch_size"] == [96, 96, 32]
        assert written["configurations"]["3d_fullres"]["data_identifier"] == dataset.configuration["data_identifier"]
        dataset.plans = written
        dataset.trainer(trainer_class)

    def _follow(self, sentence: str, dataset, monkeypatch: pytest.MonkeyPatch) -> None:
        """Run the commands that the sentence gives."""
        (dataset.preprocessed / "nnUNetPlans.json").write_text(json.dumps(dataset.plans))
        monkeypatch.chdir(dataset.results.parent)
        echo, _, rest = sentence.partition("with: ")[2].partition(" > patch.json && ")
        Path("patch.json").write_text(shlex.split(echo)[1])
        assert cli.main(shlex.split(rest.partition(" (and ")[0])[1:]) == 0

    def test_2d(self, dataset, trainer_class):
        with pytest.raises(UnsupportedError, match="'2d' is 2d"):
            dataset.trainer(trainer_class, configuration="2d")
        assert not list(dataset.results.iterdir())

    def test_a_cascade(self, dataset, trainer_class):
        dataset.plans["configurations"]["3d_cascade"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_fullres"}
        with pytest.raises(UnsupportedError, match="does not support cascades"):
            dataset.trainer(trainer_class, configuration="3d_cascade")

    def test_an_unknown_configuration_and_size(self, dataset, trainer_class):
        with pytest.raises(UserError, match="no configuration '3d_other'"):
            dataset.trainer(trainer_class, configuration="3d_other")
        with pytest.raises(UserError, match='\'swin\' is "huge", but must be "small" or "base" or "large"'):
            dataset.trainer(trainer_class, mae={"swin": "huge"})
        assert not list(dataset.results.iterdir())

    def test_no_monai(self, dataset, trainer_class, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("nnunetv2_muduo.swin.building.find_spec", lambda name: None)
        with pytest.raises(UserError, match="pip install"):
            dataset.trainer(trainer_class)
        assert not list(dataset.results.iterdir())
