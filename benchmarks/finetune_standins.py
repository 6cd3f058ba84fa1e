"""Train the shipped stand-in teachers on with `finetune-teacher`; stop and repeat the command to continue.

    python benchmarks/finetune_standins.py --modality CT --anatomy ../shared/anatomy --out finetune

Learns from phantoms and bodies around the organ maps 000-023, is measured on bodies around the maps 024-063. Writes
benchmarks/results/finetune_ct.{md,json,png}, and OUT/standin_ct.pth, which can replace the shipped file. The tables in
the repository are of the run that began with the first training (benchmarks/results/standin_ct.md) and ended with the
teachers that are shipped now.
"""

import argparse
import csv
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from finetune_data import write_raw_dataset
from machine import describe_machine, write_results
from standin_pool import TARGETS, anatomy_cases, load_cases, phantom_cases
from standin_teachers import SIMULATIONS_PER_MAP, TRAINING_MAPS, TRAINING_PHANTOM_SEEDS, provenance

from nnunetv2_muduo.checkpoint_files import read_checkpoint
from nnunetv2_muduo.finetuning import FineTuning, finetune_teacher
from nnunetv2_muduo.teachers.checkpoint import save_teacher
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.validation import mean_over_targets, validate
from nnunetv2_muduo.teachers.weights import load_teacher

matplotlib.use("Agg")
from matplotlib import pyplot

RESULTS = Path(__file__).resolve().parent / "results"
UNSEEN_MAPS = range(24, 64)
LARGE_ORGANS = ("liver", "lungs", "heart", "brain", "bladder", "spleen")
CLICKS = (1, 3, 5, 10)
PROMPTS = ("1 click", "3 clicks", "5 clicks", "10 clicks", "3 points", "mask")
CROPS, SEED = 200, 6011


def write_datasets(out: Path, anatomy: Path, *, phantoms: int) -> None:
    """Datasets 801 (phantoms), 802 (bodies to learn from) and 803 (unseen bodies) below OUT/nnUNet_raw."""
    raw, pool = out / "nnUNet_raw", out / "pool"
    seeds = range(TRAINING_PHANTOM_SEEDS, TRAINING_PHANTOM_SEEDS + phantoms)
    write_raw_dataset(raw / "Dataset801_Phantoms", phantom_cases(pool, seeds))
    bodies = anatomy_cases(pool, anatomy, TRAINING_MAPS, simulations=SIMULATIONS_PER_MAP)
    write_raw_dataset(raw / "Dataset802_Bodies", bodies)
    write_raw_dataset(raw / "Dataset803_Unseen", anatomy_cases(pool, anatomy, UNSEEN_MAPS, simulations=1))
    os.environ["nnUNet_raw"] = str(raw)


def unseen_crops(out: Path, anatomy: Path, *, modality: str, size: int, crops: int) -> list[Crops]:
    """Cubes of the unseen bodies for the table, others than those of the curve."""
    scans = load_cases(anatomy_cases(out / "pool", anatomy, UNSEEN_MAPS, simulations=1), modality=modality)
    settings = CropSettings(size=size, clamp=CLAMP[modality], flips=False)
    sampler = CropSampler(scans, targets=TARGETS, settings=settings)
    generator = torch.Generator().manual_seed(SEED)
    return [sampler.draw(2, 4, generator=generator) for _ in range(crops // 2)]


def table_rows(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A line for each target, then means over all and over the large organs; each number "before -> after"."""
    lines = []
    for target in TARGETS:
        old, new = ({row["prompt"]: row for row in rows if row["target"] == target} for rows in (before, after))
        if new:
            numbers = [f"{old[prompt]['dice']:.3f} -> {new[prompt]['dice']:.3f}" for prompt in PROMPTS]
            lines.append([target, str(new["mask"]["count"]), *numbers])
    for name, members in (("**mean**", tuple(TARGETS)), ("**large organs**", LARGE_ORGANS)):
        old, new = (mean_over_targets([row for row in rows if row["target"] in members]) for rows in (before, after))
        lines.append([name, "", *[f"**{old[prompt]:.3f} -> {new[prompt]:.3f}**" for prompt in PROMPTS]])
    return lines


def read_curve(folder: Path) -> list[dict[str, Any]]:
    """The rows of `validation.csv`, numbers as numbers."""
    with (folder / "validation.csv").open(encoding="utf-8") as file:
        return [
            {**row, "step": int(row["step"]), "seconds": float(row["seconds"]), "dice": float(row["dice"])}
            for row in csv.DictReader(file)
        ]


def draw_curve(rows: Sequence[Mapping[str, Any]], path: Path, *, threads: int, title: str) -> None:
    """Dice at 1 to 10 clicks, and at 5 clicks organ by organ, over core-minutes; minute 0 is the shipped stand-in."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    times = {row["step"]: row["seconds"] * threads / 60 for row in rows}
    for prompt in (f"{count} click{'s' if count > 1 else ''}" for count in CLICKS):
        for members, style in ((tuple(TARGETS), "--"), (LARGE_ORGANS, "-")):
            chosen = [row for row in rows if row["prompt"] == prompt and row["target"] in members]
            means = [mean_over_targets([row for row in chosen if row["step"] == step])[prompt] for step in times]
            label = f"{prompt}, {'large organs' if style == '-' else 'all organs'}"
            left.plot(times.values(), means, style, color=f"C{CLICKS.index(int(prompt.split()[0]))}", label=label)
    for organ in TARGETS:
        chosen = {row["step"]: row["dice"] for row in rows if row["prompt"] == "5 clicks" and row["target"] == organ}
        if chosen:
            right.plot([times[step] for step in chosen], list(chosen.values()), label=organ)
    left.set(
        xlabel="core-minutes, measuring included", ylabel="Dice, unseen bodies", title="mean over organs", ylim=(0.4, 1)
    )
    right.set(xlabel="core-minutes, measuring included", title="after 5 clicks", ylim=(0, 1))
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize="x-small", ncols=2)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modality", choices=("CT", "PET"), required=True)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--out", type=Path, required=True, help="gets the scans, the training and the new weights")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table and the figure")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--scheme", choices=("mixed", "published"), default="mixed", help="mixed: what MuDuo sends")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--phantoms", type=int, default=120)
    parser.add_argument("--crops", type=int, default=CROPS, help="cubes of the table")
    parser.add_argument("--curve-crops", type=int, default=48, help="cubes of the curve")
    parser.add_argument("--validate-every", type=int, default=400)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-bfloat16", action="store_true", help="for CPUs without bfloat16 instructions")
    return parser.parse_args()


def train(arguments: argparse.Namespace, name: str) -> Path:
    """Fine-tune the shipped stand-in; returns the new teacher's file."""
    job = FineTuning(
        modality=arguments.modality,
        datasets=("801", "802"),
        validation=("803",),
        teacher=name,
        val_crops=arguments.curve_crops,
    )
    training = {
        "steps": arguments.steps,
        "scheme": arguments.scheme,
        "learning_rate": arguments.learning_rate,
        "decay_share": 0.7,
        "seed": arguments.seed,
        "num_threads": arguments.threads,
        "bfloat16": not arguments.no_bfloat16,
        "validate_every": arguments.validate_every,
        "progress": sys.stderr.isatty(),
    }
    weights, folder = arguments.out / "weights", arguments.out / arguments.modality.lower()
    device = torch.device("cpu")
    return finetune_teacher(job, folder, training=training, name=f"finetuned_{name}", device=device, weights=weights)


def main() -> None:
    """Simulate, train, measure, tabulate, draw, and write the weights in half precision."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    name = f"standin_{arguments.modality.lower()}"
    write_datasets(arguments.out, arguments.anatomy, phantoms=arguments.phantoms)
    path = train(arguments, name)
    shipped, tuned = load_teacher(name), load_teacher(path.name, folder=path.parent)
    command = shlex.join(["python", *sys.argv])
    trained = read_checkpoint(path)["info"]
    info = provenance(arguments.modality, seed=arguments.seed, command=command)
    info |= {key: trained[key] for key in ("steps", "seconds", "settings")} | {
        "earlier": trained["from"].get("info", {})
    }
    save_teacher(tuned, arguments.out / f"{name}.pth", extra=info, half=True)  # type: ignore[arg-type]
    stored = load_teacher(f"{name}.pth", folder=arguments.out.resolve())  # what is measured is what is written
    crops = unseen_crops(
        arguments.out,
        arguments.anatomy,
        modality=arguments.modality,
        size=tuned.spec.cube_size,
        crops=arguments.crops,
    )
    before, after = (validate(teacher, crops, clicks=CLICKS) for teacher in (shipped, stored))
    curve = read_curve(arguments.out / arguments.modality.lower())
    results = arguments.results / f"finetune_{arguments.modality.lower()}"
    write_results(
        results,
        title=f"Stand-in {arguments.modality} teacher, before -> after training on: "
        "Dice on bodies around unseen organ maps",
        header=["target", "n", "1 click", "3 clicks", "5 clicks", "10 clicks", "3 points at once", "mended mask"],
        rows=table_rows(before, after),
        record={"before": before, "after": after, "curve": curve, "weights": info, "command": command},
        machine=describe_machine(torch.device("cpu")),
    )
    minutes = trained["seconds"] * arguments.threads / 60
    title = f"{name}: {trained['steps']} more steps, {minutes:.0f} core-minutes ({arguments.scheme} prompts)"
    draw_curve(curve, results.with_suffix(".png"), threads=arguments.threads, title=title)


if __name__ == "__main__":
    main()
