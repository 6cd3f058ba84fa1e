"""Measure a trained stand-in teacher on unseen scans, and draw how it learned.

    python benchmarks/standin_report.py --modality CT --anatomy ../shared/anatomy --out standin \
        --weights nnunetv2_muduo/teachers/standin/standin_ct.pth

Reads the training log in OUT/ct (or OUT/pet); writes benchmarks/results/standin_ct.{md,json,csv,png}.
"""

import argparse
import csv
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from machine import describe_machine, write_results
from standin_teachers import validation_crops

from nnunetv2_muduo.teachers.click_unet import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.training import mean_over_targets, validate

matplotlib.use("Agg")
from matplotlib import pyplot

RESULTS = Path(__file__).resolve().parent / "results"
CROPS, SEED = 64, 5077  # other cubes than those drawn for the curve
PROMPTS = ("1 click", "3 clicks", "5 clicks", "3 points", "given mask", "mask")


def load_standin(path: Path) -> tuple[ClickUNet, dict[str, Any]]:
    """The teacher in a file of `standin_teachers.py`, in float32, and what the file says about itself."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    teacher = ClickUNet(ClickUNetConfig.from_dict(checkpoint["config"]))
    teacher.load_state_dict(checkpoint["model_state_dict"])
    return teacher.eval(), checkpoint["info"]


def table_rows(origin: str, rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """One line a target, and a last one with their mean."""
    lines = []
    for target in sorted({row["target"] for row in rows}):
        scores = {row["prompt"]: row for row in rows if row["target"] == target}
        numbers = [f"{scores[prompt]['dice']:.3f}" for prompt in PROMPTS]
        lines.append([origin, target, str(scores["mask"]["count"]), *numbers])
    means = mean_over_targets(rows)
    return [*lines, [origin, "**mean**", "", *[f"**{means[prompt]:.3f}**" for prompt in PROMPTS]]]


def draw_curve(folder: Path, path: Path, *, title: str) -> None:
    """Loss, and mean Dice of each way of prompting, over the steps of the training in `folder`."""
    with (folder / "losses.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    with (folder / "validation.csv").open() as file:
        rows = [{**row, "dice": float(row["dice"]), "step": int(row["step"])} for row in csv.DictReader(file)]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    window = max(1, len(losses) // 100)
    smooth = [sum(losses[i : i + window]) / window for i in range(0, len(losses) - window + 1, window)]
    left.plot([(i + 1) * window for i in range(len(smooth))], smooth, color="black", linewidth=1)
    left.set(xlabel="step", ylabel=f"Dice + cross-entropy loss, mean of {window} steps", ylim=(0, None))
    steps = sorted({row["step"] for row in rows})
    means = [mean_over_targets([row for row in rows if row["step"] == step]) for step in steps]
    for prompt in PROMPTS:
        style = {"color": "grey", "linestyle": "--"} if prompt == "given mask" else {}
        right.plot(steps, [mean[prompt] for mean in means], label=prompt, **style)
    right.set(xlabel="step", ylabel="Dice, mean over targets, unseen scans", ylim=(0, 1))
    right.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Measure, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modality", choices=("CT", "PET"), required=True)
    parser.add_argument("--anatomy", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the output folder of standin_teachers.py")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=CROPS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name = f"standin_{arguments.modality.lower()}"
    teacher, info = load_standin(arguments.weights)
    crops = validation_crops(
        arguments.out / "pool",
        arguments.anatomy,
        modality=arguments.modality,
        size=teacher.spec.cube_size,
        crops=arguments.crops,
        seed=SEED,
    )
    scores = {origin: validate(teacher, batches) for origin, batches in crops.items()}
    write_results(
        RESULTS / name,
        title=f"Stand-in {arguments.modality} teacher: Dice on unseen simulated scans",
        header=[
            "scans",
            "target",
            "n",
            "1 click",
            "3 clicks",
            "5 clicks",
            "3 points at once",
            "bad mask",
            "mended mask",
        ],
        rows=[line for origin, rows in scores.items() for line in table_rows(origin, rows)],
        record={"dice": scores, "weights": info, "command": shlex.join(["python", *sys.argv]), "seed": SEED},
        machine=describe_machine(torch.device("cpu")),
    )
    log = arguments.out / arguments.modality.lower()
    shutil.copyfile(log / "validation.csv", RESULTS / f"{name}.csv")
    draw_curve(log, RESULTS / f"{name}.png", title=f"{name}: {info['steps']} steps in {info['seconds'] / 60:.0f} min")


if __name__ == "__main__":
    main()
