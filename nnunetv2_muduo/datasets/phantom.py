"""A whole-body-like person with varied organs, drawn as smooth shapes, and the demo's dataset of such persons."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK
from tqdm import tqdm

from nnunetv2_muduo.datasets.fields import Grid, smooth_field
from nnunetv2_muduo.datasets.phantom_organs import draw_organs
from nnunetv2_muduo.datasets.scaffold import CROWN_IN_MM, draw_habitus, draw_scaffold
from nnunetv2_muduo.datasets.shapes import Frame
from nnunetv2_muduo.datasets.simulation import simulate_pet_ct
from nnunetv2_muduo.datasets.tissues import Tissue
from nnunetv2_muduo.errors import UserError

ORGANS: dict[str, int] = {
    "background": 0,
    "liver": 1,
    "spleen": 2,
    "kidneys": 3,
    "heart": 4,
    "lungs": 5,
    "bladder": 6,
}
_LABELLED_TISSUES = (Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY, Tissue.HEART, Tissue.LUNG, Tissue.BLADDER)
_MARGIN_IN_MM = 16.0
_RECORD = "phantom.json"  # what a dataset was made from, so that a second run completes it and never mixes two
_PARTIAL = ".partial"  # holds files being written
_DRAWING = 1  # raised whenever the same seed would draw something else


@dataclass(frozen=True)
class Phantom:
    """A drawn person: tissue map, uint8 [Z,Y,X] in LPS order (z up, y to the back, x to the left), spacing (z,y,x)."""

    tissues: np.ndarray
    spacing_in_mm: tuple[float, float, float]


def organ_labels(tissues: np.ndarray) -> np.ndarray:
    """The labels (`ORGANS`) of a tissue map, uint8 of the same shape."""
    table = np.zeros(256, np.uint8)
    table[list(_LABELLED_TISSUES)] = np.arange(1, len(_LABELLED_TISSUES) + 1)
    return table[tissues]


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
    progress: bool = True,
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
    cases = _cases(labelled=labelled, unlabelled=unlabelled, test=test, seed=seed)
    for case in tqdm(cases, desc="phantoms", unit="case", disable=not progress):
        _write_case(folder, case, spacing_in_mm)
    shutil.rmtree(folder / _PARTIAL, ignore_errors=True)
    _write_json(folder / "dataset.json", _dataset_description(labelled))


@dataclass(frozen=True)
class _Case:
    """One case to write: its name, the folders of its images and labels (None: no labels), and its seed."""

    name: str
    images: str
    labels: str | None
    seed: np.random.SeedSequence


def _cases(*, labelled: int, unlabelled: int, test: int, seed: int) -> list[_Case]:
    groups = (
        ("phantom", "imagesTr", "labelsTr", labelled),
        ("unlabelled", "imagesUn", None, unlabelled),
        ("test", "imagesTs", "labelsTs", test),
    )
    cases = []
    for (prefix, images, labels, count), group_seed in zip(groups, np.random.SeedSequence(seed).spawn(3), strict=True):
        seeds = group_seed.spawn(count)
        cases += [_Case(f"{prefix}_{i:03d}", images, labels, s) for i, s in enumerate(seeds)]
    return cases


def _claim_folder(folder: Path, wanted: dict) -> None:
    """Record what the dataset is made from, or refuse a folder that holds another."""
    record = folder / _RECORD
    remedy = "choose another folder or delete this one"
    if record.is_file():
        found = json.loads(record.read_text())
        other = [key for key, value in wanted.items() if found.get(key) != value]
        if other:
            details = ", ".join(f"{key} {found.get(key)} instead of {wanted[key]}" for key in other)
            raise UserError(f"{folder} holds a phantom dataset made with {details}: {remedy}")
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty and holds no phantom dataset: {remedy}")
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(record, wanted)


def _write_case(folder: Path, case: _Case, spacing_in_mm: tuple[float, float, float]) -> None:
    """Draw, simulate and write one case unless all its files are there."""
    targets = [folder / case.images / f"{case.name}_{channel:04d}.nii.gz" for channel in (0, 1)]
    if case.labels is not None:
        targets.append(folder / case.labels / f"{case.name}.nii.gz")
    if all(target.is_file() for target in targets):
        return
    rng = np.random.default_rng(case.seed)
    phantom = draw_phantom(rng, spacing_in_mm=spacing_in_mm)
    ct, pet = simulate_pet_ct(phantom.tissues, spacing_in_mm=spacing_in_mm, rng=rng)
    arrays = (np.rint(ct).astype(np.int16), pet, organ_labels(phantom.tissues))
    for target, array in zip(targets, arrays, strict=False):
        _write_image(array, target, spacing_in_mm, partial=folder / _PARTIAL / target.name)


def _write_image(array: np.ndarray, target: Path, spacing_in_mm: tuple[float, float, float], *, partial: Path) -> None:
    """Write [Z,Y,X] as NIfTI under a temporary name in a folder of its own, and rename it when it is whole."""
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in reversed(spacing_in_mm)])
    partial.parent.mkdir(exist_ok=True)
    target.parent.mkdir(exist_ok=True)
    SimpleITK.WriteImage(image, str(partial), useCompression=True)
    os.replace(partial, target)


def _dataset_description(labelled: int) -> dict:
    return {
        "channel_names": {"0": "CT", "1": "PET"},
        "labels": ORGANS,
        "numTraining": labelled,
        "file_ending": ".nii.gz",
        "name": "phantom",
        "description": "Simulated whole-body PET/CT of drawn persons; channel 0 in HU, channel 1 in SUV",
    }


def _write_json(path: Path, content: dict) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    os.replace(partial, path)
