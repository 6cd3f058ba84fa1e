"""What it costs workers to give freed memory back at once, in time, and what it saves.

    python benchmarks/loading_speed.py

Batches of a semi-supervised trainer, made as its workers make them: cut, rotated, scaled, augmented; whole-body
phantoms of 3 mm, two channels, batch 2 + 2. Each measurement is a process of its own, which loads in its main thread
(nnUNet_n_proc_DA=0), with MALLOC_MMAP_THRESHOLD_ and without, in turns. Writes benchmarks/results/
loading_speed.{md,json}.
"""

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from machine import describe_machine, write_results
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
import trainable_dataset
from planned_dataset import unet_plans

RESULTS = Path(__file__).resolve().parent / "results" / "loading_speed"
VARIABLE = "MALLOC_MMAP_THRESHOLD_"
THRESHOLDS = {"128 KiB": 1 << 17, "4 MiB": 1 << 22}
SPACING_IN_MM = (3.0, 3.0, 3.0)  # whole bodies of about 290 x 98 x 160 voxels
WAYS: dict[str, dict[str, str]] = {
    "as glibc does by default": {},
    **{f"given back from {name} on": {VARIABLE: str(size)} for name, size in THRESHOLDS.items()},
}


def make_dataset(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainable_dataset, "SPACING_IN_MM", SPACING_IN_MM)
        dataset = trainable_dataset.TrainableDataset(folder, patch)
        (folder / "dataset.json").write_text(json.dumps(dataset.dataset_json))


def load(folder: Path, edge: int, batches: int) -> dict[str, float]:
    """Seconds of a labelled and of an unlabelled batch, medians, and the MiB that this process came to hold."""
    from nnunetv2_muduo.trainers.nnUNetTrainerMeanTeacher import nnUNetTrainerMeanTeacher

    torch.set_num_threads(1)  # as in workers
    plans = unet_plans(patch_size=(edge,) * 3, features=4)
    plans["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
    plans |= {"muduo": trainable_dataset.SETTINGS, "continue_training": False}
    described = json.loads((folder / "dataset.json").read_text())
    trainer = nnUNetTrainerMeanTeacher(plans, "3d_fullres", 0, described, torch.device("cpu"))
    trainer.on_train_start()
    loader = trainer.dataloader_train
    before, seconds = resident_mib(), {}
    for name, part in (("labelled", loader.labelled), ("unlabelled", loader.unlabelled)):
        taken = []
        for _ in range(batches):
            start = time.perf_counter()
            next(part)
            taken.append(time.perf_counter() - start)
        seconds[name] = statistics.fmean(taken)  # a batch is rotated or not, and much else by chance: the same draws
    return seconds | {"held_mib": resident_mib() - before}


def resident_mib() -> float:
    return next(
        int(line.split()[1]) / 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


def measure(folder: Path, edge: int, batches: int, variables: dict[str, str]) -> dict[str, float]:
    """`load` in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment |= {name: str(folder / name) for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    environment |= {"nnUNet_n_proc_DA": "0", **variables}
    program = [sys.executable, __file__, "--load", str(folder), "--edges", str(edge), "--batches", str(batches)]
    done = subprocess.run(program, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure in turns, so that whatever else the machine does meets both alike, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=int, nargs="+", default=[64, 96, 128], help="of cubic patches, in voxels")
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)  # be one of the measured processes
    arguments = parser.parse_args()
    if arguments.load:
        print(json.dumps(load(arguments.load, arguments.edges[0], arguments.batches)))
        return
    taken: dict[int, dict[str, list[dict[str, float]]]] = {edge: {way: [] for way in WAYS} for edge in arguments.edges}
    with tempfile.TemporaryDirectory() as name:
        make_dataset(Path(name))
        for _ in tqdm(range(arguments.rounds), desc="rounds"):
            for edge in arguments.edges:
                for way, variables in WAYS.items():
                    taken[edge][way].append(measure(Path(name), edge, arguments.batches, variables))
    write_results(
        RESULTS,
        title=f"Batches of 2 patches, one process; means of {arguments.batches} batches, medians of "
        f"{arguments.rounds} rounds",
        header=["patch", "", "labelled, s", "unlabelled, s", "time against default", "held afterwards, MiB"],
        rows=[row for edge, ways in taken.items() for row in rows_of(edge, ways)],
        record={"command": shlex.join(["python", *sys.argv]), "measured": taken},
        machine=describe_machine(torch.device("cpu")),
    )


def rows_of(edge: int, ways: dict[str, list[dict[str, float]]]) -> list[list[str]]:
    """The rows of a patch size; time is that of a labelled and an unlabelled batch together, round by round."""
    default = [both(one) for one in next(iter(ways.values()))]
    rows = []
    for way, measured in ways.items():
        middle = {key: statistics.median(one[key] for one in measured) for key in measured[0]}
        ratio = statistics.median(both(one) / other for one, other in zip(measured, default, strict=True))
        seconds = [f"{middle[key]:.3f}" for key in ("labelled", "unlabelled")]
        rows.append([f"{edge} cubed", way, *seconds, f"{ratio:.2f}", f"{middle['held_mib']:.0f}"])
    return rows


def both(measured: dict[str, float]) -> float:
    return measured["labelled"] + measured["unlabelled"]


if __name__ == "__main__":
    main()
