"""One small, valid world of everything that commands read: damaging any file of it damages only that."""

import json
import os
import shutil
from pathlib import Path

import autopet_folders
import centre_folders
import dicom_series
import numpy as np
import planned_dataset
import pretrained_files
import pseudo_project
import SimpleITK as sitk
import torch
import trained_folders
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo import cli
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.teachers import ClickUNet
from nnunetv2_muduo.teachers.weights import save_teacher

RAW, PREPROCESSED, RESULTS = FOLDER_VARIABLES
TINY = planned_dataset.DATASET
CENTRES, AUTOPET, TRAINED, EXPORTED = (
    "Dataset230_PETCT",
    "Dataset221_AutoPET",
    trained_folders.DATASET,
    "Dataset022_Exported",
)
STUDIES = {f"{number:02d}": ("study",) for number in range(6)}
CASE = "labelled_0"
FOLD = f"{RESULTS}/{TRAINED}/nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres/fold_0"
MODEL = f"{RESULTS}/{EXPORTED}/nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres"


def use_world(folder: Path) -> None:
    """Let nnU-Net's variables and ours lead into it; the process works there from now on."""
    for variable in FOLDER_VARIABLES:
        os.environ[variable] = str(folder / variable)
    os.environ |= {"MUDUO_WEIGHTS": str(folder / "weights"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    os.chdir(folder)


def build_world(folder: Path) -> None:
    """Write the world; commands of ours make what they read again later."""
    for variable in FOLDER_VARIABLES:
        (folder / variable).mkdir(parents=True)
    use_world(folder)
    torch.set_num_threads(1)
    _tiny(folder)
    _centres(folder)
    _other_formats(folder)
    _autopet(folder)
    _trained(folder)
    _model(folder)
    _prompts(folder)


def _tiny(folder: Path) -> None:
    """Dataset 21: planned, with labelled and unlabelled scans, splits, predictions and teachers."""
    pseudo_project.write_project(folder)
    plans = pretrained_files.transfer_plans()
    planned = planned_dataset.write_planned_dataset(folder / PREPROCESSED, plans)
    shutil.copyfile(folder / RAW / TINY / "dataset.json", planned / "dataset.json")
    splits = [{"train": [CASE], "val": ["labelled_1"]}]
    (planned / "splits_final.json").write_text(json.dumps(splits))
    network = pretrained_files.pretrained_network()
    pretrained_files.write_released(folder / "released.pth", network)
    pretrained_files.write_own_pretraining(folder / "own.pth", network, plans, channel_names=("CT", "PET"))
    torch.manual_seed(0)
    save_teacher(ClickUNet(pseudo_project.TINY), folder / "teacher.pth", extra={"modality": "CT", "what": "nothing"})
    (folder / "preset.json").write_text(
        json.dumps(
            {
                "description": "A preset.",
                "muduo": {"points": 5},
                "mae": {"ratio": 0.5},
                "network": {"features": 4},
                "configurations": {"3d_fullres": {"batch_size": 3}},
            }
        )
    )
    content = {"architecture": "ClickUNet", "config": pseudo_project.TINY.to_dict()}
    (folder / "network.json").write_text(json.dumps(content))
    predicted = folder / "predicted"
    predicted.mkdir()
    for number in range(2):
        shutil.copyfile(
            folder / RAW / TINY / f"labelsTr/labelled_{number}.nii.gz", predicted / f"labelled_{number}.nii.gz"
        )
    shutil.copyfile(folder / RAW / TINY / "dataset.json", predicted / "dataset.json")
    _run("clicks", "-d", "21", "--teacher", "teacher.pth", "--clicks", "1", "--labels", "liver", "-o", "clicks")
    _run("evaluate", f"{RAW}/{TINY}/labelsTr", "predicted", "-d", "21", "-o", "evaluated", "-np", "1")
    _run("pseudo-label", *pseudo_words())
    _run("finetune-teacher", *finetune_words("-o", "finetuned"))


def pseudo_words() -> list[str]:
    """Of `muduo pseudo-label`, for the world's predictions."""
    teachers = ["--ct-teacher", "ct.pth", "--pet-teacher", "pet.pth"]
    return [
        "-d",
        "21",
        "--predictions",
        "predictions",
        "-o",
        "pseudo",
        *teachers,
        "-np",
        "0",
        "-device",
        "cpu",
        "--no-figures",
    ]


def finetune_words(*more: str) -> list[str]:
    """Of `muduo finetune-teacher`, one step from random weights unless `more` says otherwise."""
    start = [] if {"--teacher", "--config"} & set(more) else ["--config", "network.json"]
    little = ["--steps", "1", "--clicks-per-round", "2", "--min-voxels", "8", "--val-crops", "0", "-np", "1"]
    return ["-d", "21", "--modality", "CT", "--device", "cpu", *start, *little, *more]


def _centres(folder: Path) -> None:
    """Dataset 230: harmonised from two folders, and masks to put back."""
    for name in ("one", "two"):
        centre_folders.write_case(folder / "hospital" / name, label=True)
    (folder / "labels.json").write_text(json.dumps({"labels": {"background": 0, "lesion": 1}}))
    row = {"injected_dose_mbq": 350, "weight_kg": 70, "decay_s": 3600}
    centre_folders.write_case(folder / "activity" / "one", SUV=centre_folders.a_pet(factor=5000.0))
    (folder / "suv.json").write_text(json.dumps({"one": row}))
    lines = ["case,injected_dose_mbq,weight_kg,injection_time,acquisition_time", "one,350,70,10:15:00,11:15:00"]
    (folder / "suv.csv").write_text("\n".join(lines) + "\n")
    _run("harmonise", *harmonise_words())
    (folder / "masks").mkdir()
    for name in ("one", "two"):
        sitk.WriteImage(centre_folders.a_label(), str(folder / f"masks/{name}.nii.gz"))


def harmonise_words() -> list[str]:
    """Of `muduo harmonise`, for the world's hospital."""
    return ["hospital", "-d", CENTRES, "--preset", "autopet", "--labels", "lesion=1", "-np", "1", "--copy"]


def _other_formats(folder: Path) -> None:
    """A scan of dataset 21 as MHA and NRRD, and cases whose images are such files or DICOM series."""
    scan = sitk.ReadImage(str(folder / RAW / TINY / f"imagesTr/{CASE}_0000.nii.gz"))
    for key in scan.GetMetaDataKeys():  # NIfTI's, which would be most of the header
        scan.EraseMetaData(key)
    for ending in ("mha", "nrrd"):
        sitk.WriteImage(scan, str(folder / f"odd.{ending}"), useCompression=True)
    for name in ("one", "two"):
        case = folder / "scanner" / name
        dicom_series.write_pet_series(case / "PET", centre_folders.a_pet())
        sitk.WriteImage(centre_folders.a_ct(), str(case / "CT.mha"), useCompression=True)
        sitk.WriteImage(centre_folders.a_pet(), str(case / "SUV.nrrd"), useCompression=True)


def scanner_words(pet: str) -> list[str]:
    """Of `muduo harmonise`, for the world's cases in other formats, with "PET" (DICOM) or "SUV.nrrd"."""
    return ["scanner", "-d", "Dataset233_Scanner", "--ct", "CT.mha", "--pet", pet, "-np", "1"]


def _autopet(folder: Path) -> None:
    """Dataset 221: converted from the release's layout with organ maps."""
    autopet_folders.write_release(folder / "release", STUDIES)
    autopet_folders.write_organs(folder / "organs", [f"PETCT_{patient}_study" for patient in STUDIES])
    (folder / "organs.json").write_text(json.dumps({"liver": 1, "spleen": 2, "bladder": 3}))
    _run("convert-autopet", *autopet_words())


def autopet_words(*more: str) -> list[str]:
    """Of `muduo convert-autopet`, for the world's release."""
    amounts = ["--labelled", "2", "--validation", "1", "--every-voxel", "-np", "1"]
    organs = ["--target", "organs", "--organs", "organs", "--organ-names", "organs.json"]
    return ["release", "-d", AUTOPET, *organs, *amounts, *more]


def _trained(folder: Path) -> None:
    """Dataset 7: a fold with checkpoint, log and validation."""
    cases = {"a": {"liver": 0.8, "spleen": 0.6, "lesion": 0.4}, "b": {"liver": 0.7, "spleen": 0.5, "lesion": 0.1}}
    fold = trained_folders.write_fold(folder / RESULTS, dice=cases)
    (fold / "training_log_2026_1_2_03_00_00.txt").write_text(trained_folders.log_text(3))
    (fold / "teacher_report.json").write_text(json.dumps([{"epoch": 0, "dice": {"student": [0.1, 0.2, 0.3]}}]))
    trained_folders.write_scans(folder / RAW, tuple(cases))
    unread = folder / RESULTS / "unread" / "Dataset007_Tiny" / fold.parent.name / "fold_0"  # without a checkpoint
    shutil.copytree(fold.parent, unread.parent)
    (unread / "checkpoint_final.pth").unlink()


def _model(folder: Path) -> None:
    """Dataset 22: a model that can be exported."""
    plans = planned_dataset.unet_plans(patch_size=(16, 16, 16), features=2) | {"muduo": {"points": 5}}
    manager = PlansManager(plans)
    torch.manual_seed(0)
    network = nnUNetTrainer.build_network_architecture(manager, manager.get_configuration("3d_fullres"), 2, 3, True)
    arguments = {
        "plans": plans,
        "configuration": "3d_fullres",
        "fold": "0",
        "dataset_json": planned_dataset.DATASET_JSON,
    }
    content = {
        "network_weights": network.state_dict(),
        "logging": {"mean_fg_dice": [np.float64(0.5)]},
        "current_epoch": 1,
        "init_args": arguments,
        "trainer_name": "nnUNetTrainerMuDuo",
        "inference_allowed_mirroring_axes": (0, 1, 2),
        "_best_ema": np.float32(0.5),
    }
    model = folder / MODEL
    (model / "fold_0").mkdir(parents=True)
    (model / "plans.json").write_text(json.dumps(plans))
    (model / "dataset.json").write_text(json.dumps(planned_dataset.DATASET_JSON))
    torch.save(content, model / "fold_0" / "checkpoint_final.pth")


def _prompts(folder: Path) -> None:
    """Points in our own format and in 3D Slicer's."""
    targets = [{"name": "liver", "points": [[5, 5, 5], [1, 1, 1, 0]]}, {"name": "spleen", "points": [[9, 5, 11]]}]
    (folder / "prompts.json").write_text(json.dumps({"space": "voxel", "targets": targets}))
    x, y, z = sitk.ReadImage(str(folder / RAW / TINY / f"imagesTr/{CASE}_0000.nii.gz")).TransformIndexToPhysicalPoint(
        (5, 5, 5)
    )
    control = {"label": "liver-1", "description": "", "position": [x, y, z], "positionStatus": "defined"}
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": [control]}
    (folder / "liver.mrk.json").write_text(json.dumps({"markups": [markup]}))


def _run(*words: str) -> None:
    if (code := cli.main(words)) != 0:
        raise RuntimeError(f"muduo {' '.join(words)} ends with {code} in the world as it should be")
