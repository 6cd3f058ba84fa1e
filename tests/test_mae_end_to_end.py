"""Pretraining by the commands a user types, on small phantoms: plan, preprocess, pretrain, resume, transfer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.presets import preset_paths
from nnunetv2_muduo.trainer_folder import trainer_folder

pytestmark = pytest.mark.slow

PLANS = "nnUNetPlansPETCTMAE"
SPACING_IN_MM = (16.0, 16.0, 16.0)
SETTINGS = {"block": [4, 4, 4], "num_epochs": 4, "iterations_per_epoch": 3, "val_iterations_per_epoch": 2}


class Project:
    """nnU-Net's folders and a way to run its commands in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = {name: folder / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
        for path in self.paths.values():
            path.mkdir()
        self.environment = {
            **os.environ,
            **{name: str(path) for name, path in self.paths.items()},
            "nnUNet_extTrainer": str(trainer_folder()),
            "nnUNet_n_proc_DA": "1",
            "nnUNet_def_n_proc": "1",
            "OMP_NUM_THREADS": "1",
        }
        self.preset = folder / "small.json"
        self.preset.write_text(json.dumps(small_preset()))

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]]

    def run(self, *arguments: str, expect: int = 0) -> str:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == expect, output[-4000:]
        return output

    def results(self, dataset: str, trainer: str) -> Path:
        return self.paths["nnUNet_results"] / dataset / f"{trainer}__{PLANS}__3d_fullres" / "fold_all"


def small_preset() -> dict:
    """The shipped preset on a coarse grid, with a small network and short training."""
    preset = json.loads(preset_paths()["petct_mae"].read_text())
    preset["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
    preset["network"] = {"patch_size": 16, "features": 4, "max_features": 16, "batch_size": 2}
    preset["mae"] |= {**SETTINGS, "batch_size": 3, "seed": 0}
    return preset


def train(dataset: str, trainer: str = "nnUNetTrainerPETCTMAE") -> tuple[str, ...]:
    return ("nnUNetv2_train", dataset, "3d_fullres", "all", "-tr", trainer, "-p", PLANS, "-device", "cpu")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("nnunet"))


@pytest.fixture(scope="module")
def pretrained(project: Project) -> Project:
    """Labelled and unlabelled phantoms that nnU-Net never planned; interrupted once, then continued to the end."""
    name = "Dataset221_Phantom"
    raw = project.paths["nnUNet_raw"] / name
    write_phantom_dataset(raw, labelled=3, unlabelled=3, test=0, seed=0, spacing_in_mm=SPACING_IN_MM, progress=False)
    project.planned = project.run("muduo", "plan", "-d", "221", "--preset", str(project.preset))
    project.run("nnUNetv2_extract_fingerprint", "-d", "221", "-np", "1")
    project.run("nnUNetv2_preprocess", "-d", "221", "-plans_name", PLANS, "-c", "3d_fullres", "-np", "1")
    latest = project.results(name, "nnUNetTrainerPETCTMAE") / "checkpoint_latest.pth"
    with subprocess.Popen(project.command(*train(name)), env=project.environment, start_new_session=True) as process:
        deadline = time.monotonic() + 400
        while not latest.is_file() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        interrupted = process.poll() is None and latest.is_file()
        os.killpg(process.pid, signal.SIGKILL)
    assert interrupted, "the pretraining ended before it could be interrupted"
    project.resumed = project.run(*train(name), "--c", "--npz", "--val_best")
    return project


def test_plans_tell_that_nnunet_had_none_and_what_to_run_next(pretrained: Project):
    assert "straight from the preset" in pretrained.planned
    assert f"nnUNetv2_preprocess -d 221 -plans_name {PLANS} -c 3d_fullres" in pretrained.planned
    assert "nnUNetv2_extract_fingerprint -d 221" in pretrained.planned


def test_pretraining_is_continued_and_says_that_it_segments_nothing(pretrained: Project):
    assert "Epoch 0\n" not in pretrained.resumed
    assert "Epoch 3\n" in pretrained.resumed
    assert "Pretraining on 5 cases, validation loss on 1 others" in pretrained.resumed
    assert "No probabilities (--npz) are written" in pretrained.resumed
    folder = pretrained.results("Dataset221_Phantom", "nnUNetTrainerPETCTMAE")
    assert (folder / "reconstruction_epoch_0003.png").is_file()
    assert not (folder / "validation").exists()


def test_data_of_the_preset_are_in_folders_of_their_own(pretrained: Project):
    folder = pretrained.paths["nnUNet_preprocessed"] / "Dataset221_Phantom"
    assert len(list((folder / f"{PLANS}_3d_fullres").glob("*.pkl"))) == 3
    assert len(list((folder / f"{PLANS}_3d_fullres_unlabelled").glob("*.pkl"))) == 3


def test_validation_alone_is_answered_with_a_sentence(pretrained: Project):
    output = pretrained.run(*train("Dataset221_Phantom"), "--val")
    assert "segments nothing, so no case is predicted" in output


def test_a_segmentation_is_fine_tuned_from_the_checkpoint(pretrained: Project):
    """With stock nnU-Net's trainer, but for its length."""
    trainer, settings = "nnUNetTrainerMuDuoSupervised", ("num_epochs=1", "iterations_per_epoch=2", "mirroring=false")
    pretrained.run("muduo", "plan", "-d", "221", "-p", PLANS, "--set", *settings, "val_iterations_per_epoch=1")
    checkpoint = pretrained.results("Dataset221_Phantom", "nnUNetTrainerPETCTMAE") / "checkpoint_final.pth"
    output = pretrained.run(*train("Dataset221_Phantom", trainer), "-pretrained_weights", str(checkpoint))
    assert "encoder.stages.0.0.convs.0.conv.weight shape" in output  # nnU-Net lists what it takes over
    fine_tuned = pretrained.results("Dataset221_Phantom", trainer) / "checkpoint_final.pth"
    before, after = (torch.load(path, weights_only=False)["network_weights"] for path in (checkpoint, fine_tuned))
    assert list(before) == list(after)
    assert (fine_tuned.parent / "validation" / "summary.json").is_file()


def test_scans_without_any_label_are_planned_and_pretrained_on_in_two_commands(project: Project):
    name = "Dataset222_Unlabelled"
    raw = project.paths["nnUNet_raw"] / name
    write_phantom_dataset(raw, labelled=0, unlabelled=3, test=0, seed=1, spacing_in_mm=SPACING_IN_MM, progress=False)
    content = {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(content))
    project.run("muduo", "plan", "-d", "222", "--preset", str(project.preset))
    project.run(*train("222"))
    checkpoint = torch.load(project.results(name, "nnUNetTrainerPETCTMAE") / "checkpoint_final.pth", weights_only=False)
    assert checkpoint["mae_provenance"]["cases"] == {"labelled": 0, "unlabelled": 3, "held_out": 1}
    assert checkpoint["mae_provenance"]["normalization_schemes"] == ["ZScoreNormalization"] * 2
