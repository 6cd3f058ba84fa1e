"""How many lesions do points reach, and what does the PET teacher make of them? Strategies of `point_strategy`.

    OMP_NUM_THREADS=1 python benchmarks/lesion_points.py --out lesions

The test scans of `lesions.py` that show lesions, labelled whole as `muduo pseudo-label` does it, by the stand-in PET
teacher alone, which was made for organs. What prompts it is the true mask of all lesions, or that mask with three stray
voxels among the hottest hundredth of the scan, as a prompt generator leaves them. Nothing is trained.
"""

import argparse
import itertools
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import cc3d
import numpy as np
import SimpleITK as sitk
import torch
from lesions import DATASET, write_dataset
from machine import describe_machine, write_results

from nnunetv2_muduo.evaluation.lesions import CONNECTIVITY, untouched_voxels
from nnunetv2_muduo.prompting import points_from_masks
from nnunetv2_muduo.pseudo_labelling.dual_scan import DualScan, Geometry
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers.weights import load_teacher

RESULTS = Path(__file__).resolve().parent / "results"
STRATEGIES = ("spread", "uptake", "components")
POINTS = (3, 10)
STRAYS = (0, 3)
HOTTEST = 0.01


@dataclass(frozen=True)
class Scan:
    """A test scan: PET [SUV] and the true mask of its lesions [Z, Y, X], and where it lies."""

    case: str
    pet: np.ndarray
    lesions: np.ndarray
    geometry: Geometry


@dataclass(frozen=True)
class Count:
    """Of one scan, or of all: lesions, those with a point in them, those that the answer touches; volumes in ml."""

    lesions: int
    pointed_at: int
    touched: int
    shared: float
    claimed: float
    true: float
    made_up: float

    def __add__(self, other: "Count") -> "Count":
        return Count(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def scans_with_lesions(folder: Path) -> list[Scan]:
    """The test scans of a raw dataset that show lesions."""
    scans = []
    for file in sorted((folder / "labelsTs").glob("*.nii.gz")):
        case = file.name.removesuffix(".nii.gz")
        labels = sitk.ReadImage(str(file))
        lesions = sitk.GetArrayFromImage(labels) > 0
        if lesions.any():
            pet = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "imagesTs" / f"{case}_0001.nii.gz")))
            geometry = Geometry(labels.GetSpacing(), labels.GetOrigin(), labels.GetDirection())
            scans.append(Scan(case, pet, lesions, geometry))
    return scans


def with_strays(scan: Scan, number: int) -> np.ndarray:
    """The mask of the lesions and so many hot voxels beside them [Z, Y, X]."""
    mask = scan.lesions.copy()
    beside = np.argwhere((scan.pet > np.quantile(scan.pet, 1 - HOTTEST)) & ~mask)
    drawn = np.random.default_rng([*scan.case.encode()]).choice(beside, size=number, replace=False)
    mask[tuple(drawn.T)] = True
    return mask


def measure(scan: Scan, *, strategy: str, points: int, strays: int, teacher: torch.nn.Module) -> Count:
    """Point at the lesions of a scan and let the teacher answer."""
    prompts = with_strays(scan, strays)
    asked = DualScan(None, teacher, Settings(point_strategy=strategy, points=points), torch.device("cpu"))
    nothing = np.full_like(scan.pet, -1000)
    said = asked.label(
        scan.case, nothing, scan.pet, prompts.astype(np.uint8), geometry=scan.geometry, organs={"lesion": 1}
    )
    answer = said.labels > 0
    coords, labels = points_from_masks(
        torch.from_numpy(prompts)[None, None],
        points=points,
        strategy=strategy,
        uptake=torch.from_numpy(scan.pet)[None, None],
    )
    places = coords[0, 0][labels[0, 0] == 1].long().numpy()
    components = cc3d.connected_components(scan.lesions, connectivity=CONNECTIVITY)
    voxel = scan.geometry.voxel_in_ml
    return Count(
        int(components.max()),
        len(set(components[tuple(places.T)].tolist()) - {0}),
        len(set(components[answer].tolist()) - {0}),
        float((answer & scan.lesions).sum() * voxel),
        float(answer.sum() * voxel),
        float(scan.lesions.sum() * voxel),
        untouched_voxels(answer, scan.lesions) * voxel,
    )


def table_row(strategy: str, points: int, strays: int, total: Count, scans: int) -> list[str]:
    """Of all scans together; volumes are means of a scan."""
    dice = 2 * total.shared / (total.claimed + total.true)
    shares = [f"{number / total.lesions:.2f}" for number in (total.pointed_at, total.touched)]
    return [str(strays), strategy, str(points), *shares, f"{dice:.3f}", f"{total.made_up / scans:.1f}"]


def main() -> None:
    """Simulate what is not there, point, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of lesions.py, which keeps the scans")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    arguments = parser.parse_args()
    folder = arguments.out / "nnUNet_raw" / DATASET
    write_dataset(folder)
    scans = scans_with_lesions(folder)
    teacher = load_teacher("standin_pet", log=lambda _: None)
    rows, counts = [], []
    for strays, points, strategy in itertools.product(STRAYS, POINTS, STRATEGIES):
        found = [measure(s, strategy=strategy, points=points, strays=strays, teacher=teacher) for s in scans]
        total = sum(found[1:], found[0])
        rows.append(table_row(strategy, points, strays, total, len(scans)))
        counts.append({"strays": strays, "points": points, "strategy": strategy, **vars(total)})
    write_results(
        arguments.results / "lesion_points",
        title=f"Points in {total.lesions} lesions of {len(scans)} phantoms, and the stand-in PET teacher's answers",
        header=["stray voxels", "strategy", "points", "lesions with a point", "lesions touched", "Dice", "FPV ml"],
        rows=rows,
        record={"command": shlex.join(["python", *sys.argv]), "counts": counts},
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
