"""The commands in which teachers work, on a device that is not the CPU, with the answers that the CPU gives."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from clickable_dataset import DATASET, write_clickable_dataset
from pseudo_project import write_project
from second_device import second_device
from tiny_teachers import CLICK_UNET, SAM3D, small_sam, small_unet
from trainable_dataset import TrainableDataset

from nnunetv2_muduo import cli
from nnunetv2_muduo.teachers.weights import save_teacher
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised

CONFIGURATIONS = {"ClickUNet": CLICK_UNET, "Sam3D": SAM3D}


@pytest.fixture(autouse=True)
def folders(nnunet_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nnU-Net's folders, and two teachers."""
    monkeypatch.setenv("MUDUO_WEIGHTS", str(nnunet_folders / "weights"))
    save_teacher(small_unet(), nnunet_folders / "weights" / "ClickUNet.pth")
    save_teacher(small_sam(), nnunet_folders / "weights" / "Sam3D.pth")
    return nnunet_folders


def labels_of(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.mark.parametrize("teacher", ["standin_ct", "Sam3D"])
def test_segment(folders: Path, teacher: str):
    scan = write_clickable_dataset(folders / "nnUNet_raw") / "imagesTr" / "box_0_0000.nii.gz"
    words = "--modality CT --point 5 8 7 --point 2 3 4:0 --most-windows 2"  # random weights would go on and on
    command = ["segment", str(scan), "--teacher", teacher, *words.split()]
    assert cli.main([*command, "-o", str(folders / "cpu.nii.gz"), "-device", "cpu"]) == 0
    with second_device():
        assert cli.main([*command, "-o", str(folders / "cuda.nii.gz"), "-device", "cuda"]) == 0
    cpu, cuda = (labels_of(folders / f"{device}.nii.gz") for device in ("cpu", "cuda"))
    assert cpu.any()
    assert (cpu != cuda).mean() < 0.02  # bfloat16 against float32


def test_clicks(folders: Path, monkeypatch: pytest.MonkeyPatch):
    write_clickable_dataset(folders / "nnUNet_raw")
    monkeypatch.chdir(folders)
    number = str(int(DATASET[7:10]))
    with second_device():
        command = ["clicks", "-d", number, "--teacher", "ClickUNet", "--modality", "CT", "--clicks", "1", "2"]
        assert cli.main([*command, "--cases", "box_0", "-device", "cuda"]) == 0
    rows = list(csv.DictReader((folders / "clicks_ClickUNet" / "clicks.csv").open()))
    assert {row["clicks"] for row in rows} == {"1", "2"}


@pytest.mark.parametrize("architecture", CONFIGURATIONS)
def test_finetune_teacher(folders: Path, architecture: str):
    write_clickable_dataset(folders / "nnUNet_raw")
    content = {"architecture": architecture, "config": CONFIGURATIONS[architecture].to_dict()}
    (folders / "config.json").write_text(json.dumps(content))
    command = ["finetune-teacher", "-d", str(int(DATASET[7:10])), "--modality", "CT", "--config"]
    command += [str(folders / "config.json"), "--clicks-per-round", "3", "--min-voxels", "8", "--val-crops", "1"]
    with second_device():
        assert cli.main([*command, "-o", str(folders / "tuned"), "--steps", "1", "-device", "cuda"]) == 0
        assert cli.main([*command, "-o", str(folders / "tuned"), "--steps", "2", "-device", "cuda"]) == 0


def test_pseudo_label_of_predictions(folders: Path, tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("pseudo")
        patch.setenv("nnUNet_raw", str(place / "nnUNet_raw"))
        patch.setenv("MUDUO_WEIGHTS", str(place / "weights"))
        project = write_project(place)
        command = [word if word != "cpu" else "cuda" for word in project.command()]
        with second_device():
            assert cli.main(command) == 0
    assert len(list((project.out / "labels").glob("*.nii.gz"))) == 2


@pytest.mark.slow
def test_pseudo_label_prompted_by_a_model(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch, second_device():
        patch.setenv("nnUNet_compile", "f")
        dataset = TrainableDataset(tmp_path_factory.mktemp("dataset"), patch)
        trainer = dataset.trainer(nnUNetTrainerMuDuoSupervised, device="cuda")
        trainer.run_training()
        teachers = ["--ct-teacher", "standin_ct", "--pet-teacher", "standin_pet"]
        command = ["pseudo-label", "-d", "21", "--model", trainer.output_folder_base, "-f", "0", *teachers]
        assert (
            cli.main([*command, "-o", str(dataset.folder / "out"), "-np", "0", "--no-figures", "-device", "cuda"]) == 0
        )
    assert len(list((dataset.folder / "out" / "labels").glob("*.nii.gz"))) == 2
