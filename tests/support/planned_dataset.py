"""A dataset as nnU-Net leaves it after planning, without its images: dataset.json and the plans of a 3d U-Net."""

import json
from pathlib import Path

DATASET = "Dataset021_Tiny"
DATASET_JSON = {
    "channel_names": {"0": "CT", "1": "PET"},
    "labels": {"background": 0, "liver": 1, "spleen": 2},
    "numTraining": 5,
    "file_ending": ".nii.gz",
}


def unet_plans(*, patch_size: tuple[int, int, int] = (32, 48, 48), features: int = 32) -> dict:
    """nnUNetPlans with `2d`, `3d_fullres` and, inheriting from it, `3d_small_batch`; 3 mm x 2 mm x 2 mm."""
    return {
        "dataset_name": DATASET,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [3.0, 2.0, 2.0],
        "original_median_shape_after_transp": [90, 61, 70],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {
            "2d": _configuration([61, 70], [2.0, 2.0], list(patch_size[1:]), features, "2d"),
            "3d_fullres": _configuration([90, 61, 70], [3.0, 2.0, 2.0], list(patch_size), features, "3d_fullres"),
            "3d_small_batch": {"inherits_from": "3d_fullres", "batch_size": 1},
        },
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": _intensities(-80.0, 170.0, -900.0, 400.0),
            "1": _intensities(2.0, 1.5, 0.1, 15.0),
        },
    }


def write_planned_dataset(preprocessed: Path, plans: dict | None = None) -> Path:
    """Write the dataset's folder into nnUNet_preprocessed and return it."""
    folder = preprocessed / DATASET
    folder.mkdir(parents=True)
    (folder / "dataset.json").write_text(json.dumps(DATASET_JSON))
    (folder / "nnUNetPlans.json").write_text(json.dumps(plans or unet_plans(), indent=4))
    return folder


def _configuration(median: list[int], spacing: list[float], patch_size: list[int], features: int, name: str) -> dict:
    axes = len(spacing)
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": f"nnUNetPlans_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": patch_size,
        "median_image_size_in_voxels": [float(edge) for edge in median],
        "spacing": spacing,
        "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
        "use_mask_for_norm": [False, False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling,
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 3,
                "features_per_stage": [features, 2 * features, 4 * features],
                "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
                "kernel_sizes": [[3] * axes] * 3,
                "strides": [[1] * axes, [2] * axes, [2] * axes],
                "n_conv_per_stage": [2, 2, 2],
                "n_conv_per_stage_decoder": [2, 2],
                "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None,
                "dropout_op_kwargs": None,
                "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
        "batch_dice": False,
    }


def _intensities(mean: float, std: float, minimum: float, maximum: float) -> dict[str, float]:
    names = ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std")
    return dict(zip(names, (maximum, mean, mean, minimum, minimum, maximum, std), strict=True))
