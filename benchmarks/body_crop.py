"""What cutting scans to the body changes against nnU-Net's own cropping, which removes what is 0 in all channels.

    python benchmarks/body_crop.py --anatomy ../shared/anatomy

Bodies are simulated around real organ maps at 8 mm, with the empty margins of those scans. Both croppings are followed
by nnU-Net's z-score of the whole image (its ZScoreNormalization, as the preset petct_mae has it) and its file format.
Three voxels of margin, as published, are 24 mm here; one voxel is about what three are at the published 3 x 2 x 2 mm.
Writes benchmarks/results/body_crop.{md,json}.
"""

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from anatomy import load_organ_map, tissues_from_organ_map
from machine import describe_machine, write_results
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
from nnunetv2.preprocessing.normalization.default_normalization_schemes import ZScoreNormalization
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
from standin_pool import ORGAN_MAP_NAMES, SPACING_IN_MM
from tqdm import tqdm

from nnunetv2_muduo.datasets.body_box import body_box
from nnunetv2_muduo.datasets.simulation import simulate_pet_ct

RESULTS = Path(__file__).resolve().parent / "results"
PATCH = (36, 32, 32)  # the published extent at 8 mm, decides how the file is laid out
TISSUE_IN_HU, TISSUE_IN_SUV = 40.0, 1.0  # soft tissue and its blood pool: what the network shall know again


@dataclass(frozen=True)
class Measured:
    """One scan after one way of cropping."""

    share_left: float
    ct_mean: float
    ct_std: float
    pet_mean: float
    pet_std: float
    megabytes: float


def to_nonzero(image: np.ndarray) -> np.ndarray:
    """nnU-Net's own cropping; [C, Z, Y, X]."""
    return crop_to_nonzero(image, np.zeros_like(image[:1], dtype=np.int8))[0]


def to_body(image: np.ndarray, *, padding: int) -> np.ndarray:
    """The published cropping; [C, Z, Y, X]."""
    return image[(slice(None), *body_box(image[0], padding=padding))]


CROPPINGS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "nnU-Net": to_nonzero,
    "body, 3 voxels": partial(to_body, padding=3),
    "body, 1 voxel": partial(to_body, padding=1),
}


def simulate(anatomy: Path, number: int) -> np.ndarray:
    """CT in HU and PET in SUV around one organ map, float32 [2, Z, Y, X]."""
    rng = np.random.default_rng(number)
    organ_map = load_organ_map(anatomy / f"anat_{number:03d}.nii.gz", spacing_in_mm=SPACING_IN_MM)
    tissues = tissues_from_organ_map(organ_map, names=ORGAN_MAP_NAMES, spacing_in_mm=SPACING_IN_MM, rng=rng)
    return np.stack(simulate_pet_ct(tissues, spacing_in_mm=SPACING_IN_MM, rng=rng)).astype(np.float32)


def measure(image: np.ndarray, crop: Callable[[np.ndarray], np.ndarray]) -> Measured:
    """Crop, z-score and store a scan as nnU-Net does."""
    cropped = crop(image)
    means, stds = cropped.mean((1, 2, 3)), cropped.std((1, 2, 3))
    scheme = ZScoreNormalization(use_mask_for_norm=False, intensityproperties={})
    normalised = np.stack([scheme.run(channel.copy()) for channel in cropped])
    with tempfile.TemporaryDirectory() as folder:
        segmentation = np.zeros_like(normalised[:1], dtype=np.int16)
        blocks, chunks = comp_blosc2_params(normalised.shape, PATCH, normalised.itemsize)
        nnUNetDatasetBlosc2.save_case(normalised, segmentation, {}, str(Path(folder) / "case"), chunks, blocks)
        size = (Path(folder) / "case.b2nd").stat().st_size
    return Measured(
        share_left=cropped[0].size / image[0].size,
        ct_mean=float(means[0]),
        ct_std=float(stds[0]),
        pet_mean=float(means[1]),
        pet_std=float(stds[1]),
        megabytes=size / 1e6,
    )


def table_row(name: str, measured: list[Measured]) -> list[str]:
    """Means over the scans, with their standard deviation where it tells something."""

    def over_scans(what: str) -> np.ndarray:
        return np.array([getattr(one, what) for one in measured])

    tissue = {
        "ct": (TISSUE_IN_HU - over_scans("ct_mean")) / over_scans("ct_std"),
        "pet": (TISSUE_IN_SUV - over_scans("pet_mean")) / over_scans("pet_std"),
    }
    return [
        name,
        f"{100 * over_scans('share_left').mean():.0f} %",
        f"{over_scans('ct_mean').mean():.0f} ({over_scans('ct_std').mean():.0f})",
        f"{over_scans('pet_mean').mean():.2f} ({over_scans('pet_std').mean():.2f})",
        f"{tissue['ct'].mean():.2f} ± {tissue['ct'].std():.2f}",
        f"{tissue['pet'].mean():.2f} ± {tissue['pet'].std():.2f}",
        f"{over_scans('megabytes').mean():.2f}",
    ]


def main() -> None:
    """Measure all scans and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--scans", type=int, default=20)
    arguments = parser.parse_args()
    measured: dict[str, list[Measured]] = {name: [] for name in CROPPINGS}
    for number in tqdm(range(arguments.scans), desc="scans"):
        image = simulate(arguments.anatomy, number)
        for name, crop in CROPPINGS.items():
            measured[name].append(measure(image, crop))
    write_results(
        RESULTS / "body_crop",
        title=f"Cropping {arguments.scans} simulated scans at 8 mm, then z-score over the whole image",
        header=[
            "cropping",
            "voxels left",
            "CT mean (std), HU",
            "PET mean (std), SUV",
            f"z-score of {TISSUE_IN_HU:g} HU",
            f"z-score of SUV {TISSUE_IN_SUV:g}",
            "MB a scan",
        ],
        rows=[table_row(name, scans) for name, scans in measured.items()],
        record={
            "command": shlex.join(["python", *sys.argv]),
            "scans": {name: [vars(scan) for scan in scans] for name, scans in measured.items()},
        },
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
