"""SwinUNETR-v2 by the commands a user types, on small phantoms: pretrain, resume, fine-tune, predict, no export."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai_extra import needs_monai
from torch import Tensor

from nnunetv2_muduo import cli
from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.trainer_folder import trainer_folder

pytestmark = [pytest.mark.slow, needs_monai]

DATASET, PLANS = "Dataset221_Phantom", "nnUNetPlansSwin"
PRETRAINING, SEGMENTING = "nnUNetTrainerPETCTMAESwin", "nnUNetTrainerPETCTSwin"
PRESET = {
    "mae": {"num_epochs": 3, "iterations_per_epoch": 1, "val_iterations_per_epoch": 1, "seed": 0},
    "muduo": {"num_epochs": 1, "iterations_per_epoch": 1, "val_iterations_per_epoch": 1, "mirroring": False},
    "configurations": {"3d_fullres": {"patch_size": [32, 32, 64], "batch_size": 1}},
}


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

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-4000:]
        return output

    def muduo(self, *arguments: str, expect: int = 0) -> str:
        """A command of ours, in this process: importing everything takes longer than what it does."""
        output = StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(output):
            for name, path in self.paths.items():
                patch.setenv(name, str(path))
            assert cli.main(arguments) == expect, output.getvalue()
        return output.getvalue()

    def interrupt(self, file: Path, *arguments: str) -> None:
        """Run a command and kill it as soon as there is a file."""
        with subprocess.Popen(self.command(*arguments), env=self.environment, start_new_session=True) as process:
            deadline = time.monotonic() + 400
            while not file.is_file() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            interrupted = process.poll() is None and file.is_file()
            os.killpg(process.pid, signal.SIGKILL)
        assert interrupted, "the command ended before it could be interrupted"

    def fold(self, trainer: str, fold: str) -> Path:
        return self.paths["nnUNet_results"] / DATASET / f"{trainer}__{PLANS}__3d_fullres" / f"fold_{fold}"


def train(trainer: str, fold: str, *options: str) -> tuple[str, ...]:
    return ("nnUNetv2_train", DATASET, "3d_fullres", fold, "-tr", trainer, "-p", PLANS, "-device", "cpu", *options)


def weights(checkpoint: Path) -> dict[str, Tensor]:
    return torch.load(checkpoint, map_location="cpu", weights_only=False)["network_weights"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("nnunet"))
    raw = project.paths["nnUNet_raw"] / DATASET
    write_phantom_dataset(raw, labelled=2, unlabelled=1, test=1, seed=0, spacing_in_mm=(16, 16, 16), progress=False)
    project.run("nnUNetv2_plan_and_preprocess", "-d", "221", "-c", "3d_fullres", "-np", "1", "-npfp", "1")
    cases = sorted(path.name.removesuffix(".nii.gz") for path in (raw / "labelsTr").glob("*.nii.gz"))
    splits = [{"train": cases[:1], "val": cases[1:]}]
    (project.paths["nnUNet_preprocessed"] / DATASET / "splits_final.json").write_text(json.dumps(splits))
    preset = project.folder / "preset.json"
    preset.write_text(json.dumps(PRESET))
    project.muduo("plan", "-d", "221", "--preset", str(preset), "-o", PLANS)
    return project


@pytest.fixture(scope="module")
def pretrained(project: Project) -> Project:
    """Interrupted after its first epoch, then continued to the end."""
    latest = project.fold(PRETRAINING, "all") / "checkpoint_latest.pth"
    project.interrupt(latest, *train(PRETRAINING, "all"))
    project.resumed = project.run(*train(PRETRAINING, "all", "--c"))
    return project


@pytest.fixture(scope="module")
def fine_tuned(pretrained: Project) -> Project:
    checkpoint = pretrained.fold(PRETRAINING, "all") / "checkpoint_final.pth"
    pretrained.trained = pretrained.run(*train(SEGMENTING, "0", "-pretrained_weights", str(checkpoint)))
    return pretrained


def test_pretraining_is_continued_to_its_end(pretrained: Project):
    assert "Epoch 0\n" not in pretrained.resumed
    assert "Epoch 2\n" in pretrained.resumed
    assert (pretrained.fold(PRETRAINING, "all") / "reconstruction_epoch_0002.png").is_file()


def test_fine_tuning_starts_from_the_pretrained_weights(fine_tuned: Project):
    assert "swinViT.patch_embed.proj.weight shape" in fine_tuned.trained  # nnU-Net lists what it takes over
    fold = fine_tuned.fold(SEGMENTING, "0")
    before, after = (
        weights(fine_tuned.fold(PRETRAINING, "all") / "checkpoint_final.pth"),
        weights(fold / "checkpoint_final.pth"),
    )
    assert list(before) == list(after)
    body = [name for name, tensor in after.items() if ".seg_layers." not in name and tensor.is_floating_point()]
    assert all((before[name] - after[name]).abs().max() < 0.01 for name in body)  # one step of 5e-4 away
    assert (fold / "validation" / "summary.json").is_file()


def test_stock_prediction_builds_the_network_again(fine_tuned: Project):
    images, out = fine_tuned.paths["nnUNet_raw"] / DATASET / "imagesTs", fine_tuned.folder / "predicted"
    options = ("-d", "221", "-c", "3d_fullres", "-f", "0", "-p", PLANS, "-device", "cpu", "-npp", "1", "-nps", "1")
    fine_tuned.run("nnUNetv2_predict", *options, "-tr", SEGMENTING, "-i", str(images), "-o", str(out))
    (image,) = images.glob("*_0000.nii.gz")
    predicted = sitk.ReadImage(str(out / image.name.replace("_0000", "")))
    assert predicted.GetSize() == sitk.ReadImage(str(image)).GetSize()
    assert np.isin(sitk.GetArrayFromImage(predicted), range(7)).all()


def test_export_refuses_a_network_that_stock_nnunet_cannot_build(fine_tuned: Project):
    out = fine_tuned.folder / "exported"
    options = ("-d", "221", "-tr", SEGMENTING, "-p", PLANS, "-f", "0", "-o", str(out))
    output = fine_tuned.muduo("export", *options, expect=2)
    assert f"{SEGMENTING} trains another network than the plans'" in output
    assert f"predict with nnUNetv2_predict -tr {SEGMENTING} instead" in output
    assert not list(out.rglob("*.pth"))


def test_own_pretraining_is_brought_in_for_the_same_network_alone(fine_tuned: Project):
    source, out = fine_tuned.fold(PRETRAINING, "all") / "checkpoint_final.pth", fine_tuned.folder / "imported.pth"
    options = (str(source), "-d", "221", "-p", PLANS, "-o", str(out))
    refused = fine_tuned.muduo("import-mae", *options, expect=2)
    assert "does not fit the network of nnUNetTrainer" in refused
    output = fine_tuned.muduo("import-mae", *options, "-tr", SEGMENTING)
    assert f"-tr {SEGMENTING} -p {PLANS} -pretrained_weights" in output
    imported, pretrained = weights(out), weights(source)
    assert set(pretrained) - set(imported) == {"decoder.seg_layers.0.weight", "decoder.seg_layers.0.bias"}
    assert all(torch.equal(imported[name], pretrained[name]) for name in imported)
