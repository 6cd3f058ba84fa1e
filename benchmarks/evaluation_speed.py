"""How long `muduo evaluate` takes for whole-body cases of 400 x 400 x 326 voxels with ten organs.

    python benchmarks/evaluation_speed.py --anatomy ../shared/anatomy

References are real organ maps, cut or padded to 326 slices. Predictions are the same, shifted by a voxel or two, with
holes and with 300 stray voxels all over the scan, so that cropping to an organ helps little: worse than what a trained
network gives.
Writes benchmarks/results/evaluation_speed.{md,json}.
"""

import argparse
import resource
import shlex
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from machine import describe_machine, write_results
from standin_pool import ORGAN_MAP_NAMES
from tqdm import tqdm

from nnunetv2_muduo.evaluation.folders import evaluate_folders
from nnunetv2_muduo.evaluation.task import Task, task_of

RESULTS = Path(__file__).resolve().parent / "results"
SLICES, STRAYS, HOLES = 326, 300, 0.02
FIRST_MAP = 24


def write_case(anatomy: Path, folder: Path, number: int) -> None:
    """A reference and a prediction."""
    image = sitk.ReadImage(str(anatomy / f"anat_{number:03d}.nii.gz"))
    reference = sitk.GetArrayFromImage(image)[:SLICES]
    reference = np.pad(reference, ((0, SLICES - len(reference)), (0, 0), (0, 0)))
    rng = np.random.default_rng(number)
    prediction = np.roll(reference, (1, 2, -2), (0, 1, 2))
    prediction[rng.random(prediction.shape, dtype=np.float32) < HOLES] = 0
    where = rng.integers(0, prediction.size, STRAYS)
    prediction.reshape(-1)[where] = rng.integers(1, len(ORGAN_MAP_NAMES) + 1, STRAYS)
    for name, labels in (("reference", reference), ("prediction", prediction)):
        made = sitk.GetImageFromArray(labels)
        made.SetSpacing(image.GetSpacing())
        (folder / name).mkdir(exist_ok=True)
        sitk.WriteImage(made, str(folder / name / f"case_{number:03d}.nii.gz"), useCompression=True)


def measure(folder: Path, task: Task, *, num_processes: int) -> dict[str, float]:
    """Seconds for all cases, on the clock and of the processors."""
    clock, used = time.perf_counter(), _processor_seconds()
    evaluate_folders(
        folder / "reference", {"prediction": folder / "prediction"}, task=task, num_processes=num_processes
    )
    return {"seconds": time.perf_counter() - clock, "processor_seconds": _processor_seconds() - used}


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Write the cases, evaluate them, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("-np", type=int, default=2)
    arguments = parser.parse_args()
    task = task_of({"labels": {"background": 0, **{name: label for label, name in ORGAN_MAP_NAMES.items()}}})
    with tempfile.TemporaryDirectory() as name:
        for number in tqdm(range(FIRST_MAP, FIRST_MAP + arguments.cases), desc="writing"):
            write_case(arguments.anatomy, Path(name), number)
        found = measure(Path(name), task, num_processes=arguments.np)
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    write_results(
        RESULTS / "evaluation_speed",
        title=f"Evaluating {arguments.cases} cases of 400 x 400 x {SLICES} voxels, {len(task.organs)} organs",
        header=["processes", "seconds", "processor seconds a case", "GiB of the largest process"],
        rows=[
            [
                str(arguments.np),
                f"{found['seconds']:.0f}",
                f"{found['processor_seconds'] / arguments.cases:.1f}",
                f"{largest / 2**20:.1f}",
            ]
        ],
        record={"command": shlex.join(["python", *sys.argv]), **found, "largest_kib": largest},
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
