"""A tiny dataset for the doctor to look at."""

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.doctor import dataset as dataset_checks
from nnunetv2_muduo.doctor.check import Check

DATASET_JSON = {
    "channel_names": {"0": "CT", "1": "PET"},
    "labels": {"background": 0, "liver": 1, "spleen": 2, "ignore": 3},
    "numTraining": 4,
    "file_ending": ".nii.gz",
}
CONFIGURATION = {
    "data_identifier": "nnUNetPlans_3d_fullres",
    "preprocessor_name": "DefaultPreprocessor",
    "batch_size": 2,
    "patch_size": [16, 16, 16],
    "median_image_size_in_voxels": [10.0, 20.0, 30.0],
    "spacing": [3.0, 2.0, 2.0],
    "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
    "use_mask_for_norm": [False, False],
    "batch_dice": False,
    "architecture": {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 2,
            "features_per_stage": [4, 8],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3], [3, 3, 3]],
            "strides": [[1, 1, 1], [2, 2, 2]],
            "n_conv_per_stage": [1, 1],
            "n_conv_per_stage_decoder": [1],
            "conv_bias": True,
            "norm_op": None,
            "norm_op_kwargs": None,
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "nonlin"],
    },
}
PLANS = {
    "dataset_name": "Dataset221_Tiny",
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "label_manager": "LabelManager",
    "foreground_intensity_properties_per_channel": {},
    "configurations": {"3d_fullres": CONFIGURATION},
}


class Tiny:
    """Dataset221_Tiny with two unlabelled scans, planned and partly preprocessed."""

    def __init__(self, folder: Path) -> None:
        self.raw = folder / "nnUNet_raw" / "Dataset221_Tiny"
        self.preprocessed = folder / "nnUNet_preprocessed" / "Dataset221_Tiny"
        (self.raw / "imagesUn").mkdir(parents=True)
        (self.preprocessed / "nnUNetPlans_3d_fullres").mkdir(parents=True)
        (folder / "nnUNet_results").mkdir()
        for folder_of_it in (self.raw, self.preprocessed):  # planning copies it
            (folder_of_it / "dataset.json").write_text(json.dumps(DATASET_JSON))
        self.write_plans(muduo={"ct_teacher": "no such teacher", "pet_teacher": None})
        for case in ("a", "b"):
            self.write(case, 0)
            self.write(case, 1)

    def write(self, case: str, channel: int, *, shape=(4, 5, 6), spacing=(1.0, 2.0, 3.0), orientation="LPS") -> None:
        image = sitk.GetImageFromArray(np.ones(shape, np.float32))
        image.SetSpacing(spacing)
        image = sitk.DICOMOrient(image, orientation)
        sitk.WriteImage(image, str(self.raw / "imagesUn" / f"{case}_{channel:04d}.nii.gz"))

    def write_plans(self, **changes) -> None:
        (self.preprocessed / "nnUNetPlans.json").write_text(json.dumps({**PLANS, **changes}))

    def preprocess(self, cases: int) -> None:
        for case in range(cases):
            (self.preprocessed / "nnUNetPlans_3d_fullres" / f"{case}.b2nd").touch()

    def check_plans(self) -> tuple[Check, dict | None]:
        return dataset_checks.check_plans(
            self.preprocessed, "nnUNetPlans", configuration="3d_fullres", dataset_json=DATASET_JSON
        )
