"""`muduo clicks` with the shipped stand-ins: whole simulated bodies around organ maps that they never saw.

    OMP_NUM_THREADS=1 python benchmarks/standin_clicks.py --anatomy ../shared/anatomy --out clicks

Six large organs on CT and on PET, one body of 8 mm around each of the organ maps 024-063, Dice of the whole scan after
1, 3, 5 and 10 clicks. Where `finetune_standins.py` draws cubes that may cut a target, here the cube is centred on the
first click and the mask is followed beyond it, as a user of `muduo segment` sees it. Repeat the command to continue;
what is finished is kept in OUT. Writes benchmarks/results/standin_clicks.{md,json}.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from finetune_data import write_raw_dataset
from machine import describe_machine, write_results
from standin_pool import anatomy_cases

from nnunetv2_muduo.evaluation.click_summary import ClickSummary
from nnunetv2_muduo.interactive.clicks_benchmark import run_clicks
from nnunetv2_muduo.teachers.weights import load_teacher

RESULTS = Path(__file__).resolve().parent / "results"
UNSEEN_MAPS = range(24, 64)
LARGE_ORGANS = ("liver", "lungs", "heart", "brain", "bladder", "spleen")
TEACHERS = {"CT": "standin_ct", "PET": "standin_pet"}
DATASET = "Dataset803_Unseen"


def table_rows(found: Mapping[str, ClickSummary]) -> list[list[str]]:
    """A line for each organ and modality, then the mean of each organ on the modality that shows it better."""
    clicks = next(iter(found.values())).clicks
    rows = [
        [organ, modality, *(f"{value:.3f}" for value in summary.dice[summary.organs.index(organ)])]
        for organ in LARGE_ORGANS
        for modality, summary in found.items()
    ]
    last = {
        (organ, modality): summary.dice[summary.organs.index(organ)]
        for organ in LARGE_ORGANS
        for modality, summary in found.items()
    }
    best = [
        max((last[organ, modality] for modality in found), key=lambda dice: dice[clicks.index(5)])
        for organ in LARGE_ORGANS
    ]
    means = np.mean(best, axis=0)
    return [*rows, ["**mean**", "the better", *(f"**{means[k]:.3f}**" for k in range(len(clicks)))]]


def main() -> None:
    """Simulate, click, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--out", type=Path, required=True, help="keeps scans and what is finished")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    parser.add_argument("--maps", type=int, nargs="+", default=list(UNSEEN_MAPS), help="fewer, for a look")
    arguments = parser.parse_args()
    folder = arguments.out / "nnUNet_raw" / DATASET
    bodies = anatomy_cases(arguments.out / "pool", arguments.anatomy, arguments.maps, simulations=1)
    write_raw_dataset(folder, bodies)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    found = {
        modality: run_clicks(
            folder,
            load_teacher(name),
            teacher_name=name,
            modality=modality,
            output=arguments.out / f"clicks_{modality}",
            labels=LARGE_ORGANS,
        )
        for modality, name in TEACHERS.items()
    }
    clicks = next(iter(found.values())).clicks
    write_results(
        arguments.results / "standin_clicks",
        title=f"Dice of the stand-ins after clicks, whole simulated bodies around {len(bodies)} unseen organ maps",
        header=["organ", "seen on", *(f"{n} click{'s' * (n > 1)}" for n in clicks)],
        rows=table_rows(found),
        record={
            "command": shlex.join(["python", *sys.argv]),
            "dice": {m: dict(zip(s.organs, s.dice.tolist(), strict=True)) for m, s in found.items()},
            "seconds_per_click": {modality: summary.seconds_per_click for modality, summary in found.items()},
        },
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
