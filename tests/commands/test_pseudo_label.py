"""`muduo pseudo-label`: mistakes are told with the command that mends them."""

import json
from pathlib import Path

import pytest

from nnunetv2_muduo import cli
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES


def test_prompt_generator_whose_training_was_stopped_early_is_to_be_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    for variable in FOLDER_VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / variable))
        (tmp_path / variable / "Dataset221_Tiny").mkdir(parents=True)
    description = {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "liver": 1},
        "file_ending": ".nii.gz",
    }
    (tmp_path / "nnUNet_raw" / "Dataset221_Tiny" / "dataset.json").write_text(json.dumps(description))
    model = "nnUNetTrainerMuDuoPrompt__nnUNetPlans__3d_fullres"
    (tmp_path / "nnUNet_results" / "Dataset221_Tiny" / model / "fold_0").mkdir(parents=True)

    command = ["pseudo-label", "-d", "221", "--prompt-generator", "--require-organs", "none"]
    assert cli.main([*command, "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert "There is no prompt generator" in told
    assert "nnUNetv2_train Dataset221_Tiny 3d_fullres 0 -tr nnUNetTrainerMuDuoPrompt" in told
