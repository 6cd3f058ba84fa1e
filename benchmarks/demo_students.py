"""Does MuDuo beat the supervised baseline? The demo with several seeds, on phantoms or around real anatomies.

    python benchmarks/demo_students.py --scans phantoms --seeds 0 1 2 --out students
    python benchmarks/demo_students.py --scans anatomies --anatomy ../shared/anatomy --out students

Each seed draws other persons, other scans and other initial weights; within a seed both methods have the same data,
iterations and seed. Anatomies are organ maps that the stand-in teachers have never seen (032 to 063); their cases are
called as hospitals call them, with spaces and dots. Repeat the command to continue; writes
benchmarks/results/demo_students_{phantoms,anatomies}.{md,json}.
"""

import argparse
import shlex
import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from anatomy import load_organ_map, tissues_from_organ_map
from machine import describe_machine, write_results
from standin_pool import ORGAN_MAP_NAMES
from tqdm import tqdm

from nnunetv2_muduo.datasets.simulated_dataset import finish_dataset, write_scan
from nnunetv2_muduo.demo.recipe import DemoSize, run_demo, write_phantoms
from nnunetv2_muduo.evaluation.comparison import Comparison

RESULTS = Path(__file__).resolve().parent / "results"
UNSEEN_MAPS = range(32, 64)


def write_anatomies(folder: Path, size: DemoSize, *, anatomy: Path) -> None:
    """Simulate bodies and scans around organ maps drawn without replacement, into nnU-Net's raw format."""
    spacing = (size.spacing_in_mm,) * 3
    groups = ["labelled"] * size.labelled + ["unlabelled"] * size.unlabelled + ["test"] * size.test
    numbers = np.random.default_rng(size.seed).permutation(UNSEEN_MAPS)[: len(groups)]
    folder.mkdir(parents=True, exist_ok=True)
    for group, number in tqdm(list(zip(groups, numbers.tolist(), strict=True)), desc="anatomies", unit="case"):
        path = anatomy / f"anat_{number:03d}.nii.gz"

        def draw_tissues(rng: np.random.Generator, path: Path = path) -> np.ndarray:
            organ_map = load_organ_map(path, spacing_in_mm=spacing)
            return tissues_from_organ_map(organ_map, names=ORGAN_MAP_NAMES, spacing_in_mm=spacing, rng=rng)

        write_scan(
            folder,
            f"pat {number:03d}.v{size.seed}",
            group=group,
            draw_tissues=draw_tissues,
            seed=np.random.SeedSequence([size.seed, number]),
            spacing_in_mm=spacing,
        )
    finish_dataset(folder, labelled=size.labelled, description="Simulated PET/CT around real organ maps")


def table_rows(comparisons: dict[int, Comparison]) -> list[list[str]]:
    """A line a seed and organ mean, then organs over all seeds; baseline, MuDuo, difference."""
    rows = []
    for seed, comparison in comparisons.items():
        means = [float(np.nanmean(comparison.mean_per_organ(method))) for method in comparison.dice]
        rows.append([f"seed {seed}, mean of organs", *[f"{mean:.3f}" for mean in means], f"{means[1] - means[0]:+.3f}"])
    first = next(iter(comparisons.values()))
    per_organ = [
        np.mean([comparison.mean_per_organ(method) for comparison in comparisons.values()], axis=0)
        for method in first.dice
    ]
    for organ, *means in zip(first.organs, *per_organ, strict=True):
        rows.append([f"{organ}, all seeds", *[f"{mean:.3f}" for mean in means], f"{means[1] - means[0]:+.3f}"])
    baseline, ours = (float(np.nanmean(means)) for means in per_organ)
    return [*rows, ["**all**", f"**{baseline:.3f}**", f"**{ours:.3f}**", f"**{ours - baseline:+.3f}**"]]


def main() -> None:
    """Run the demo for each seed and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", choices=("phantoms", "anatomies"), required=True)
    parser.add_argument("--anatomy", type=Path, help="folder of the 64 organ maps; for --scans anatomies")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--test", type=int, default=8, help="test cases")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further settings, as of muduo plan")
    parser.add_argument("--name", default="", help="added to the name of the result files, such as _cached")
    arguments = parser.parse_args()
    if arguments.scans == "anatomies" and arguments.anatomy is None:
        parser.error("--scans anatomies needs --anatomy")
    write_scans = write_phantoms
    if arguments.scans == "anatomies":
        write_scans = partial(write_anatomies, anatomy=arguments.anatomy)
    comparisons = {
        seed: run_demo(
            arguments.out / f"{arguments.scans}_{seed}",
            size=DemoSize(seed=seed, test=arguments.test, assignments=tuple(arguments.set)),
            write_scans=write_scans,
        )
        for seed in arguments.seeds
    }
    write_results(
        RESULTS / f"demo_students_{arguments.scans}{arguments.name}",
        title=f"The demo on {arguments.scans}: Dice on {arguments.test} test cases, same data, iterations and seed"
        + "".join(f"; {assignment}" for assignment in arguments.set),
        header=["", *next(iter(comparisons.values())).dice, "difference"],
        rows=table_rows(comparisons),
        record={
            "command": shlex.join(["python", *sys.argv]),
            "dice": {
                seed: {method: values.tolist() for method, values in comparison.dice.items()}
                for seed, comparison in comparisons.items()
            },
        },
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
