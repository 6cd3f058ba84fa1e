"""A tiny PET/CT dataset in nnU-Net's raw format, with plans written by hand."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from nnunetv2_muduo.cases.unlabelled import UnlabelledSummary, preprocess_unlabelled

SHAPE = (16, 18, 20)  # (z, y, x)
SPACING_IN_MM = (3.0, 2.0, 2.5)  # (z, y, x)


def simulate_scan(seed: int, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """CT in HU and PET in SUV: an elliptic body with one lung, in air, and a hot spot."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    body = (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1
    lung = (z / 0.5) ** 2 + (y / 0.4) ** 2 + ((x - 0.2) / 0.3) ** 2 < 1
    ct = np.where(body, 40.0, -1000.0)
    ct[lung] = -800
    pet = np.where(body, 1.5, 0.01)
    pet[(np.abs(z) < 0.3) & (np.abs(y + 0.3) < 0.2) & (np.abs(x + 0.3) < 0.2)] = 9
    return (ct + rng.normal(0, 5, shape)).astype(np.float32), (pet * rng.uniform(0.8, 1.2, shape)).astype(np.float32)


@dataclass
class TinyDataset:
    """Dataset900_Tiny below a folder of the test's own; `plans` and `dataset_json` are free to be changed."""

    folder: Path
    dataset_json: dict = field(
        default_factory=lambda: {
            "channel_names": {"0": "CT", "1": "PET"},
            "labels": {"background": 0, "organ": 1},
            "numTraining": 3,
            "file_ending": ".nii.gz",
        }
    )
    plans: dict = field(default_factory=lambda: hand_written_plans())

    @property
    def raw(self) -> Path:
        return self.folder / "raw" / "Dataset900_Tiny"

    @property
    def preprocessed(self) -> Path:
        return self.folder / "preprocessed" / "Dataset900_Tiny"

    @property
    def unlabelled(self) -> Path:
        return self.preprocessed / "nnUNetPlans_3d_fullres_unlabelled"

    @property
    def configuration(self) -> dict:
        return self.plans["configurations"]["3d_fullres"]

    def state(self) -> dict[str, tuple[int, int]]:
        """Name -> inode and time of change of every preprocessed unlabelled file: the same where none was touched."""
        return {file.name: (file.stat().st_ino, file.stat().st_mtime_ns) for file in self.unlabelled.iterdir()}

    def write_channel(self, array: np.ndarray, file: Path, **geometry) -> Path:
        """Geometry: spacing, origin as SimpleITK wants them, (x, y, z), orientation in its letters."""
        image = SimpleITK.GetImageFromArray(array)
        image.SetSpacing(geometry.get("spacing", SPACING_IN_MM[::-1]))
        image.SetOrigin(geometry.get("origin", (0.0, 0.0, 0.0)))
        orientation = geometry.get("orientation", "LPS")
        image.SetDirection(SimpleITK.DICOMOrientImageFilter.GetDirectionCosinesFromOrientation(orientation))
        file.parent.mkdir(parents=True, exist_ok=True)
        SimpleITK.WriteImage(image, str(file))
        return file

    def write_scan(
        self, case: str, *, folder: str = "imagesUn", channels=None, seed: int = 0, **geometry
    ) -> list[np.ndarray]:
        """Write the given channels, or a simulated CT and PET; returns the arrays."""
        arrays = list(channels if channels is not None else simulate_scan(seed))
        for index, array in enumerate(arrays):
            file = self.raw / folder / f"{case}_{index:04d}{self.dataset_json['file_ending']}"
            self.write_channel(array, file, **geometry)
        return arrays

    def write_labelled(self, case: str, *, seed: int = 0) -> list[np.ndarray]:
        arrays = self.write_scan(case, folder="imagesTr", seed=seed)
        labels = (arrays[1] > 4).astype(np.uint8)
        self.write_channel(labels, self.raw / "labelsTr" / f"{case}{self.dataset_json['file_ending']}")
        return arrays

    def preprocess(self, **options) -> UnlabelledSummary:
        arguments = {"num_processes": 1, "log": lambda message: None, **options}
        return preprocess_unlabelled("Dataset900_Tiny", **self.arguments(), **arguments)

    def arguments(self) -> dict:
        return {
            "plans": self.plans,
            "configuration": "3d_fullres",
            "dataset_json": self.dataset_json,
            "raw_folder": self.raw,
            "preprocessed_folder": self.preprocessed,
        }

    def set_schemes(self, *schemes: str, masked: bool = False) -> None:
        self.configuration["normalization_schemes"] = list(schemes)
        self.configuration["use_mask_for_norm"] = [masked] * len(schemes)


def hand_written_plans() -> dict:
    """What nnU-Net's planner would write, as far as preprocessing reads it."""
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    ct = {"mean": 30.0, "std": 60.0, "percentile_00_5": -1100.0, "percentile_99_5": 1500.0}
    pet = {"mean": 2.0, "std": 1.5, "percentile_00_5": 0.0, "percentile_99_5": 12.0}
    return {
        "dataset_name": "Dataset900_Tiny",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": ct, "1": pet},
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "architecture": {},
                "batch_size": 2,
                "patch_size": [8, 10, 12],
                "spacing": list(SPACING_IN_MM),
                "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
                "use_mask_for_norm": [False, False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
            }
        },
    }


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> TinyDataset:
    return TinyDataset(tmp_path)


@pytest.fixture
def prepared(tiny_dataset):
    """Three preprocessed cases and their raw arrays, stacked."""
    tiny_dataset.arrays = {
        case: np.stack(tiny_dataset.write_scan(case, seed=seed)) for seed, case in enumerate(("a", "b", "pat 1.v2"))
    }
    tiny_dataset.preprocess()
    return tiny_dataset
