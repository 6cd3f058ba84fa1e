"""A tiny dataset with unlabelled scans, label maps that prompt the teachers, and two tiny teachers."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from nnunetv2_muduo.cli import main
from nnunetv2_muduo.teachers import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.weights import save_teacher

DATASET = "Dataset021_Tiny"
NEW = "Dataset022_Better"  # that pseudo-labels are laid out in
CASES = ("pat 0.v1", "pat 1.v1")  # without labels
DROP_ALL = ("--min-iou", "1", "--min-prompt-iou", "1")
DATASET_JSON = {
    "channel_names": {"0": "CT", "1": "PET"},
    "labels": {"background": 0, "liver": 1, "spleen": 2, "bladder": 3},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
SHAPE = (14, 12, 13)
TINY = ClickUNetConfig(
    cube_size=8, features_per_stage=(4, 8), strides=(2, 2), convs_per_stage=(1, 1), convs_per_decoder_stage=(1,),
)  # fmt: skip


@dataclass(frozen=True)
class PseudoProject:
    """Where everything lies."""

    raw: Path
    predictions: Path
    out: Path

    def command(self, *more: str) -> list[str]:
        """`muduo pseudo-label` with the predictions and the tiny teachers; no pictures unless asked for."""
        teachers = ["--ct-teacher", "ct.pth", "--pet-teacher", "pet.pth"]
        folders = ["--predictions", str(self.predictions), "-o", str(self.out)]
        return ["pseudo-label", "-d", "21", *folders, *teachers, "-np", "0", "-device", "cpu", "--no-figures", *more]


def write_project(folder: Path) -> PseudoProject:
    """Two labelled and two unlabelled scans, askew, with predictions of the latter: liver and spleen."""
    raw = folder / "nnUNet_raw" / DATASET
    for name in ("imagesTr", "labelsTr", "imagesUn"):
        (raw / name).mkdir(parents=True)
    (raw / "dataset.json").write_text(json.dumps(DATASET_JSON))
    project = PseudoProject(raw, folder / "predictions", folder / "out")
    project.predictions.mkdir()
    for number in range(2):
        write_scan(raw / "imagesTr", f"labelled_{number}", seed=number)
        write(organs(), raw / "labelsTr" / f"labelled_{number}.nii.gz")
        write_scan(raw / "imagesUn", f"pat {number}.v1", seed=10 + number)
        write(organs(), project.predictions / f"pat {number}.v1.nii.gz")
    write_teachers(folder / "weights")
    return project


def write_teachers(folder: Path, seed: int = 0) -> None:
    """ct.pth and pet.pth, not trained."""
    torch.manual_seed(seed)
    for name in ("ct.pth", "pet.pth"):
        save_teacher(ClickUNet(TINY), folder / name)


def organs() -> np.ndarray:
    """A label map [Z, Y, X] of a liver and a spleen."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:9, 3:9, 3:8] = 1
    labels[10:12, 4:7, 8:11] = 2
    return labels


def write_scan(folder: Path, case: str, *, seed: int) -> None:
    """CT and PET of noise."""
    rng = np.random.default_rng(seed)
    write(rng.normal(0, 300, SHAPE).astype(np.float32), folder / f"{case}_0000.nii.gz")
    write(rng.random(SHAPE).astype(np.float32) * 5, folder / f"{case}_0001.nii.gz")


def write(array: np.ndarray, path: Path, *, origin: tuple[float, float, float] = (-3.0, 7.0, 11.5)) -> None:
    """On the grid of all scans here, or one with another origin."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((5.0, 6.0, 7.0))
    image.SetOrigin(origin)
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.1, -0.15, 2.9).GetMatrix())
    sitk.WriteImage(image, str(path))


def lay_out(project: PseudoProject, *more: str, name: str = NEW) -> int:
    """`muduo pseudo-label --as-labels`; the exit code."""
    return main(project.command("--as-labels", name, *more))


def array(path: Path) -> np.ndarray:
    """[Z, Y, X] of a file."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def flat(capsys: pytest.CaptureFixture) -> str:
    """What was told of errors, on one line."""
    return " ".join(capsys.readouterr().err.split())
