"""Measure a trained stand-in teacher on unseen scans, and draw how it learned.

    python benchmarks/standin_report.py --modality CT --anatomy ../shared/anatomy --out standin \
        --weights nnunetv2_muduo/teachers/standin/standin_ct.pth

Reads the logs of all stages in OUT; writes benchmarks/results/standin_ct.{md,json,csv,png}.
"""

import argparse
import csv
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from machine import describe_machine, write_results
from standin_teachers import stage_folders, validation_crops

from nnunetv2_muduo.teachers.click_unet import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.validation import mean_over_targets, validate

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


def read_log(stages: Mapping[str, Path]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Losses and validations of all stages, with their stage and with steps counted from the very first."""
    losses: list[dict[str, Any]] = []
    validations: list[dict[str, Any]] = []
    for stage, folder in stages.items():
        before = len(losses)
        for name, rows in (("losses.csv", losses), ("validation.csv", validations)):
            with (folder / name).open(encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    rows.append({**row, "stage": stage, "step": before + int(row["step"])})
    return losses, validations


def draw_curve(
    losses: Sequence[Mapping[str, Any]], validations: Sequence[Mapping[str, Any]], path: Path, *, title: str
) -> None:
    """Loss of each stage, and mean Dice of each way of prompting, over the steps of the whole training."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    window = max(1, len(losses) // 100)
    for stage in dict.fromkeys(row["stage"] for row in losses):
        rows = [row for row in losses if row["stage"] == stage]
        parts = [rows[i : i + window] for i in range(0, len(rows) - window + 1, window)]
        left.plot(
            [part[-1]["step"] for part in parts],
            [sum(float(row["loss"]) for row in part) / window for part in parts],
            label=f"{stage}, {len(rows)} steps",
        )
    left.set(xlabel="step", ylabel=f"Dice + cross-entropy loss, mean of {window} steps", ylim=(0, None))
    left.legend(title="stage (its own loss)")
    steps = sorted({row["step"] for row in validations})
    means = [
        mean_over_targets([{**row, "dice": float(row["dice"])} for row in validations if row["step"] == step])
        for step in steps
    ]
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
        title=f"Stand-in {arguments.modality} teacher after its first training: Dice on unseen simulated scans",
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
    losses, validations = read_log(stage_folders(arguments.out, arguments.modality))
    with (RESULTS / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=["stage", "step", "seconds", "target", "prompt", "dice", "count"])
        writer.writeheader()
        writer.writerows(validations)
    minutes = sum(info["seconds"].values()) / 60
    title = f"{name}: {len(losses)} steps in {minutes:.0f} min on one core"
    draw_curve(losses, validations, RESULTS / f"{name}.png", title=title)


if __name__ == "__main__":
    main()
