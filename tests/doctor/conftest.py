"""A dataset in an installation that is in order."""

from pathlib import Path

import pytest
from doctor_dataset import Tiny

from nnunetv2_muduo.doctor import gpu
from nnunetv2_muduo.doctor.gpu import GpuNeed
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.trainer_folder import trainer_folder


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    for variable in FOLDER_VARIABLES:
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("nnUNet_extTrainer", str(trainer_folder()))
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    need = GpuNeed(student=1, teachers=1, source="a test of its own simulates")  # seconds each time
    monkeypatch.setattr(gpu, "simulated_need", lambda *arguments, **keywords: need)
    return Tiny(tmp_path)
