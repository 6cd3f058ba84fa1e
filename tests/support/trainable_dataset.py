"""A phantom dataset that nnU-Net trainers can train on, made in seconds: raw scans, plans, preprocessed cases."""

import copy
import json
from pathlib import Path

import pytest
import torch
from nnunet_variables import set_nnunet_folders
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import unet_plans

from nnunetv2_muduo.cases.unlabelled import preprocess_unlabelled
from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.semisupervised import trainer as semisupervised_trainer

DATASET = "Dataset021_Tiny"
SPACING_IN_MM = (20.0, 20.0, 20.0)
PATCH = (16, 16, 16)
SETTINGS = {
    "seed": 0,
    "num_epochs": 1,
    "iterations_per_epoch": 2,
    "val_iterations_per_epoch": 1,
    "prompt_epochs": 1,
    "report_patches": 2,
    "ct_teacher": "standin_ct",
    "pet_teacher": "standin_pet",
}
PRETRAINING = {
    "block": [4, 4, 4],
    "num_epochs": 2,
    "iterations_per_epoch": 2,
    "val_iterations_per_epoch": 2,
    "batch_size": 2,
    "held_out": 0.25,
}


class TrainableDataset:
    """Below `folder`, with nnU-Net's environment set to it; two labelled and two unlabelled phantoms."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        set_nnunet_folders(folder, monkeypatch)
        monkeypatch.setenv("nnUNet_n_proc_DA", "0")
        monkeypatch.setattr(semisupervised_trainer, "default_num_processes", 1)  # worker processes start too slowly
        self.raw = folder / "nnUNet_raw" / DATASET
        self.preprocessed = folder / "nnUNet_preprocessed" / DATASET
        write_phantom_dataset(self.raw, labelled=2, unlabelled=2, test=0, seed=0, spacing_in_mm=SPACING_IN_MM)
        self.dataset_json = json.loads((self.raw / "dataset.json").read_text())
        self.plans = unet_plans(patch_size=PATCH, features=4)
        self.plans["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
        self._preprocess_labelled()
        self.preprocess_unlabelled()

    @property
    def unlabelled(self) -> Path:
        return self.preprocessed / "nnUNetPlans_3d_fullres_unlabelled"

    def trainer(
        self, trainer_class: type[nnUNetTrainer], *, continues: bool = False, device: str = "cpu", **settings
    ) -> nnUNetTrainer:
        """A trainer of fold 0, with `SETTINGS` and further settings."""
        plans = {
            **copy.deepcopy(self.plans),
            "muduo": SETTINGS | settings,
            "continue_training": continues,
        }
        return trainer_class(plans, "3d_fullres", 0, copy.deepcopy(self.dataset_json), torch.device(device))

    def preprocess_unlabelled(self) -> None:
        """What the trainer would do when it starts, in this process."""
        preprocess_unlabelled(
            DATASET,
            plans=self.plans,
            configuration="3d_fullres",
            dataset_json=self.dataset_json,
            raw_folder=self.raw,
            preprocessed_folder=self.preprocessed,
            num_processes=1,
            log=lambda message: None,
        )

    def _preprocess_labelled(self) -> None:
        plans = PlansManager(self.plans)
        folder = self.preprocessed / "nnUNetPlans_3d_fullres"
        folder.mkdir(parents=True)
        cases = sorted(path.name.removesuffix(".nii.gz") for path in (self.raw / "labelsTr").glob("*.nii.gz"))
        for case in cases:
            DefaultPreprocessor(verbose=False).run_case_save(
                str(folder / case),
                [str(self.raw / "imagesTr" / f"{case}_{channel:04d}.nii.gz") for channel in (0, 1)],
                str(self.raw / "labelsTr" / f"{case}.nii.gz"),
                plans,
                plans.get_configuration("3d_fullres"),
                self.dataset_json,
            )
        splits = [{"train": [cases[0]], "val": [cases[1]]}]
        for name, content in {
            "splits_final": splits,
            "dataset": self.dataset_json,
            "dataset_fingerprint": {},  # copied by trainers, read by nobody
        }.items():
            (self.preprocessed / f"{name}.json").write_text(json.dumps(content))
