"""Checkpoints of pretrainings: what they tell, that they are whole, and that stock nnU-Net takes them."""

import json
from pathlib import Path

import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


def test_a_checkpoint_tells_what_it_was_trained_on_in_plain_types(dataset, tmp_path):
    trainer = dataset.trainer()
    trainer.initialize()
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    told = torch.load(tmp_path / "checkpoint.pth", weights_only=False)["mae_provenance"]
    assert json.loads(json.dumps(told)) == told
    assert told["source"] == "nnUNetTrainerPETCTMAE"
    assert told["spacing"] == [20.0, 20.0, 20.0]
    assert told["channel_names"] == ["CT", "PET"]
    assert told["normalization_schemes"] == ["CTNormalization", "ZScoreNormalization"]
    assert (told["dataset_name"], told["plans_name"]) == ("Dataset021_Tiny", "nnUNetPlans")
    assert (told["configuration"], told["patch_size"]) == ("3d_fullres", [16, 16, 16])
    assert told["use_mask_for_norm"] == [False, False]
    assert told["settings"]["block"] == [4, 4, 4]
    assert told["cases"]["held_out"] == 1
    assert told["orientations"] == ["LPS"]


def test_a_checkpoint_tells_channels_as_the_importer_will_ask_for_them(dataset):
    """Modalities set by hand count, and a channel that was never shown was not pretrained."""
    dataset.dataset_json["channel_names"] = {"0": "PET", "1": "CT"}  # a mistake that the settings put right
    dataset.plans["muduo"] = {"ct_channel": 0, "pet_channel": 1}
    trainer = dataset.trainer(channels=[1])
    trainer.initialize()
    told = trainer.provenance()
    assert told["channel_names"] == ["CT", "PET"]
    assert told["normalization_schemes"] == ["none", "ZScoreNormalization"]


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(dataset, tmp_path, monkeypatch):
    trainer, file = dataset.trainer(), tmp_path / "checkpoint_latest.pth"
    trainer.initialize()
    trainer.save_checkpoint(str(file))
    save = torch.save

    def save_half(content, target) -> None:
        if isinstance(target, Path):
            target.write_bytes(b"half a check")
            raise KeyboardInterrupt
        save(content, target)

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(KeyboardInterrupt):
        trainer.save_checkpoint(str(file))
    assert torch.load(file, weights_only=False)["trainer_name"] == "nnUNetTrainerPETCTMAE"
    assert list(tmp_path.glob("*checkpoint*")) == [file]


def test_stock_nnunet_with_deep_supervision_takes_the_weights_all_but_its_heads(dataset, tmp_path):
    trainer = dataset.trainer()
    trainer.initialize()
    trainer.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    plans = {**dataset.plans, "continue_training": False}
    stock = nnUNetTrainer(plans, "3d_fullres", "all", dataset.dataset_json, torch.device("cpu"))
    stock.initialize()
    assert stock.network.decoder.deep_supervision
    load_pretrained_weights(stock.network, str(tmp_path / "checkpoint.pth"))
    pretrained, loaded = trainer.network.state_dict(), stock.network.state_dict()
    assert list(pretrained) == list(loaded)
    differing = {key for key in loaded if not torch.equal(loaded[key], pretrained[key])}
    assert differing == {key for key in loaded if ".seg_layers." in key}
