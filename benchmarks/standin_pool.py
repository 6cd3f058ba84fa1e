"""The simulated scans that the stand-in teachers are trained and measured on, kept on disk.

Phantoms, and bodies drawn around the real organ maps of ../shared/anatomy. Both at 8 mm.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from anatomy import load_organ_map, tissues_from_organ_map
from tqdm import tqdm

from nnunetv2_muduo.datasets.phantom import draw_phantom
from nnunetv2_muduo.datasets.simulation import simulate_pet_ct
from nnunetv2_muduo.datasets.tissues import Tissue
from nnunetv2_muduo.teachers.crops import TrainingCase

SPACING_IN_MM = (8.0, 8.0, 8.0)
ORGAN_MAP_NAMES: Mapping[int, str] = {
    1: "spleen",
    2: "kidney",
    3: "liver",
    4: "bladder",
    5: "lung",
    6: "brain",
    7: "heart",
    8: "stomach",
    9: "prostate",
    10: "glands",
}
TARGETS: Mapping[str, tuple[int, ...]] = {
    "liver": (Tissue.LIVER,),
    "spleen": (Tissue.SPLEEN,),
    "kidneys": (Tissue.KIDNEY,),
    "heart": (Tissue.HEART,),
    "lungs": (Tissue.LUNG,),
    "brain": (Tissue.BRAIN,),
    "stomach": (Tissue.STOMACH,),
    "bladder": (Tissue.BLADDER,),
    "prostate": (Tissue.PROSTATE,),
    "aorta": (Tissue.AORTA,),
}


def phantom_cases(folder: Path, seeds: Sequence[int]) -> list[Path]:
    """Simulated phantoms, one file a seed; those already in the folder are kept."""
    paths = [folder / f"phantom_{seed:06d}.npz" for seed in seeds]
    for path, seed in tqdm(list(zip(paths, seeds, strict=True)), desc="phantoms", unit="scan"):
        if not path.is_file():
            rng = np.random.default_rng(seed)
            _simulate(path, draw_phantom(rng, spacing_in_mm=SPACING_IN_MM).tissues, rng)
    return paths


def anatomy_cases(folder: Path, anatomy: Path, numbers: Sequence[int], *, simulations: int) -> list[Path]:
    """Several bodies and scans around each real organ map; those already in the folder are kept."""
    paths = []
    for number in tqdm(numbers, desc="anatomies", unit="map"):
        organ_map = None
        for simulation in range(simulations):
            path = folder / f"anatomy_{number:03d}_{simulation}.npz"
            paths.append(path)
            if path.is_file():
                continue
            if organ_map is None:
                organ_map = load_organ_map(anatomy / f"anat_{number:03d}.nii.gz", spacing_in_mm=SPACING_IN_MM)
            rng = np.random.default_rng([number, simulation])
            tissues = tissues_from_organ_map(organ_map, names=ORGAN_MAP_NAMES, spacing_in_mm=SPACING_IN_MM, rng=rng)
            _simulate(path, tissues, rng)
    return paths


def load_cases(paths: Sequence[Path], *, modality: str) -> list[TrainingCase]:
    """All scans of one modality ("CT" or "PET") in memory, as float16."""
    cases = []
    for path in paths:
        with np.load(path) as arrays:
            cases.append(TrainingCase(arrays[modality], arrays["labels"], SPACING_IN_MM))
    return cases


def _simulate(path: Path, tissues: np.ndarray, rng: np.random.Generator) -> None:
    """Write CT, PET and labels of one scan, under another name first."""
    ct, pet = simulate_pet_ct(tissues, spacing_in_mm=SPACING_IN_MM, rng=rng)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, CT=ct.astype(np.float16), PET=pet.astype(np.float16), labels=tissues.astype(np.uint8))
    partial.replace(path)
