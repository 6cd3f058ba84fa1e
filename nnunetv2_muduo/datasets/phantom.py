"""A whole-body-like person with varied organs, drawn as smooth shapes, and the demo's dataset of such persons."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nnunetv2_muduo.datasets.fields import Grid, smooth_field
from nnunetv2_muduo.datasets.phantom_organs import draw_organs
from nnunetv2_muduo.datasets.scaffold import CROWN_IN_MM, draw_habitus, draw_scaffold
from nnunetv2_muduo.datasets.shapes import Frame
from nnunetv2_muduo.datasets.simulated_dataset import finish_dataset, write_scan
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.json_files import read_table

_MARGIN_IN_MM = 16.0
_RECORD = "phantom.json"  # what a dataset was made from, so that a second run completes it and never mixes two
_NAMES = {"labelled": "phantom", "unlabelled": "unlabelled", "test": "test"}  # of a group's cases
_DRAWING = 1  # raised whenever the same seed would draw something else


@dataclass(frozen=True)
class Phantom:
    """A drawn person: tissue map, uint8 [Z,Y,X] in LPS order (z up, y to the back, x to the left), spacing (z,y,x)."""

    tissues: np.ndarray
    spacing_in_mm: tuple[float, float, float]


def draw_phantom(rng: np.random.Generator, *, spacing_in_mm: tuple[float, float, float] = (8.0, 8.0, 8.0)) -> Phantom:
    """Draw a person from the upper thighs to the crown; the same generator gives the same person at every spacing."""
    scale = (float(rng.uniform(0.88, 1.0)), float(rng.normal(0.98, 0.05)), float(rng.normal(0.97, 0.05)))
    habitus = draw_habitus(rng)
    half_width = {"none": 185.0, "up": 215.0, "down": 245.0}[habitus.arms] * scale[2] + habitus.fat_in_mm
    half_depth = 110.0 * scale[1] + 1.3 * habitus.fat_in_mm + _MARGIN_IN_MM
    extent = (CROWN_IN_MM * scale[0] + _MARGIN_IN_MM, 2 * half_depth, 2 * (half_width + _MARGIN_IN_MM))
    grid = Grid(extent, spacing_in_mm)
    frame = _person_frame(grid, scale, rng)
    tissues = draw_scaffold(grid, frame, habitus, rng)
    draw_organs(tissues, frame, rng)
    return Phantom(tissues, spacing_in_mm)


def _person_frame(grid: Grid, scale: tuple[float, float, float], rng: np.random.Generator) -> Frame:
    """Standard coordinates of every voxel: scaled, and bent by two smooth random deformations (8 and 3 mm)."""
    origin = (0.0, grid.extent_in_mm[1] / 2, grid.extent_in_mm[2] / 2)
    coordinates = []
    for axis, (positions, start, factor) in enumerate(zip(grid.axes_in_mm(), origin, scale, strict=True)):
        line = ((positions - start) / factor).astype(np.float32)
        bent = line.reshape([-1 if i == axis else 1 for i in range(3)])
        bent = bent + 6 * smooth_field(grid, rng, wavelength_in_mm=160)
        coordinates.append(bent + np.float32(2.5) * smooth_field(grid, rng, wavelength_in_mm=60))
    return Frame(*coordinates)


def write_phantom_dataset(
    folder: Path,
    *,
    labelled: int,
    unlabelled: int,
    test: int,
    seed: int,
    spacing_in_mm: tuple[float, float, float] = (8.0, 8.0, 8.0),
) -> None:
    """Write a PET/CT dataset of phantoms in nnU-Net's raw format, channel 0 CT (HU) and channel 1 PET (SUV).

    folder: `nnUNet_raw/DatasetXXX_NAME`, made when missing; labelled, unlabelled, test: cases in imagesTr + labelsTr,
    imagesUn, and imagesTs + labelsTs; spacing_in_mm: (z, y, x). Every case has a seed of its own, so case number i of a
    group is the same whatever the counts. Complete cases are kept: an interrupted run is resumed by running it again.
    Raises UserError when the folder holds a dataset made from other parameters, or something else altogether.
    """
    wanted = {
        "seed": seed,
        "labelled": labelled,
        "unlabelled": unlabelled,
        "test": test,
        "spacing_in_mm": list(spacing_in_mm),
        "drawing": _DRAWING,
    }
    _claim_folder(folder, wanted)
    counts = {"labelled": labelled, "unlabelled": unlabelled, "test": test}
    cases = [
        (group, number, case_seed)
        for group, group_seed in zip(counts, np.random.SeedSequence(seed).spawn(len(counts)), strict=True)
        for number, case_seed in enumerate(group_seed.spawn(counts[group]))
    ]
    for group, number, case_seed in tqdm(cases, desc="phantoms", unit="case"):
        write_scan(
            folder,
            f"{_NAMES[group]}_{number:03d}",
            group=group,
            draw_tissues=lambda rng: draw_phantom(rng, spacing_in_mm=spacing_in_mm).tissues,
            seed=case_seed,
            spacing_in_mm=spacing_in_mm,
        )
    finish_dataset(
        folder,
        labelled=labelled,
        description="Simulated whole-body PET/CT of drawn persons; channel 0 in HU, channel 1 in SUV",
    )


def _claim_folder(folder: Path, wanted: dict) -> None:
    """Record what the dataset is made from, or refuse a folder that holds another."""
    record = folder / _RECORD
    remedy = "choose another folder or delete this one"
    if record.is_file():
        found = read_table(record)
        other = [key for key, value in wanted.items() if found.get(key) != value]
        if other:
            details = ", ".join(f"{key} {found.get(key)} instead of {wanted[key]}" for key in other)
            raise UserError(f"{folder} holds a phantom dataset made with {details}: {remedy}")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty and holds no phantom dataset: {remedy}")
    write_text(record, json.dumps(wanted, indent=2) + "\n")
