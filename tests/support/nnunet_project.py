"""nnU-Net's folders with one dataset in mind, and its commands as a user types them."""

import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nnunetv2_muduo import cli
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.trainer_folder import trainer_folder

DATASET = "Dataset221_Phantom"
SPACING_IN_MM = (16.0, 16.0, 16.0)  # coarse enough for everything to take seconds
_TIMEOUT_IN_S = 600


class NNUNetProject:
    """Empty folders below `folder`; commands find them, our trainers, and one worker process.

    Args:
        folder: exists.
        plans: name of the plans that trainings use.
    """

    def __init__(self, folder: Path, plans: str = "nnUNetPlans") -> None:
        self.folder, self.plans = folder, plans
        self.paths = {name: folder / name for name in FOLDER_VARIABLES}
        for path in self.paths.values():
            path.mkdir()
        self.raw, self.preprocessed, self.results = (path / DATASET for path in self.paths.values())
        self.environment = {
            **os.environ,
            **{name: str(path) for name, path in self.paths.items()},
            "nnUNet_extTrainer": str(trainer_folder()),
            "nnUNet_n_proc_DA": "1",
            "nnUNet_def_n_proc": "1",
            "OMP_NUM_THREADS": "1",
            "OMP_WAIT_POLICY": "passive",  # nnU-Net takes all cores; threads that spin stall each other
        }

    def run(self, *arguments: str, expect: int = 0, without: tuple[str, ...] = ()) -> str:
        """Run a command in a process of its own; returns what it prints.

        Args:
            arguments: a program beside this Python, and its arguments.
            expect: exit code.
            without: environment variables that it does not get.
        """
        done = subprocess.run(
            _command(*arguments),
            env={name: value for name, value in self.environment.items() if name not in without},
            capture_output=True,
            encoding="utf-8",
            timeout=_TIMEOUT_IN_S,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == expect, output[-4000:]
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
        """Run a command and kill it, with all of its workers, as soon as there is a file."""
        with subprocess.Popen(_command(*arguments), env=self.environment, start_new_session=True) as process:
            deadline = time.monotonic() + _TIMEOUT_IN_S
            while not file.is_file() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            interrupted = process.poll() is None and file.is_file()
            os.killpg(process.pid, signal.SIGKILL)
        assert interrupted, "the command ended before it could be interrupted"

    def plan_and_preprocess(self) -> None:
        """With nnU-Net's own plans, for 3d_fullres."""
        self.run("nnUNetv2_plan_and_preprocess", "-d", "221", "-c", "3d_fullres", "-np", "1", "-npfp", "1")

    def training(self, trainer: str, *options: str, fold: str = "0", dataset: str = DATASET) -> tuple[str, ...]:
        """The command that trains, on the CPU."""
        chosen = ("-tr", trainer, "-p", self.plans, "-device", "cpu")
        return ("nnUNetv2_train", dataset, "3d_fullres", fold, *chosen, *options)

    def train(self, trainer: str, *options: str, fold: str = "0", dataset: str = DATASET) -> str:
        """Run that command."""
        return self.run(*self.training(trainer, *options, fold=fold, dataset=dataset))

    def predict(self, trainer: str, images: Path, out: Path) -> Path:
        """Predict a folder of images with fold 0; returns the folder of predictions."""
        model = ("-d", "221", "-c", "3d_fullres", "-f", "0", "-tr", trainer, "-p", self.plans)
        folders = ("-i", str(images), "-o", str(out))
        self.run("nnUNetv2_predict", *model, *folders, "-device", "cpu", "-npp", "1", "-nps", "1")
        return out

    def fold(self, trainer: str, fold: str = "0", dataset: str = DATASET) -> Path:
        """Where a training leaves its results."""
        return self.paths["nnUNet_results"] / dataset / f"{trainer}__{self.plans}__3d_fullres" / f"fold_{fold}"


def network_weights(checkpoint: Path) -> dict[str, Tensor]:
    """The network's tensors in a checkpoint of nnU-Net's."""
    return torch.load(checkpoint, map_location="cpu", weights_only=False)["network_weights"]


def _command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]]
