"""Train the shipped stand-in teachers on with hard scans among the usual ones; repeat the command to continue.

    python benchmarks/harden_standins.py --modality CT --anatomy ../shared/anatomy --out hardened

Low contrast, noise, blur, breath and a varied field of view (datasets/difficulty.py, HARD) are what the label
benchmarks are made of. Learns from bodies around the organ maps 000-023 and from phantoms: first to tell organs apart,
without prompts, then with the prompts that MuDuo sends. Measured on bodies around the maps 024-063, usual and hard.
Writes benchmarks/results/hardened_ct.{md,json,png}, and OUT/standin_ct.pth, which can replace the shipped file.
"""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from finetune_standins import CLICKS, LARGE_ORGANS, UNSEEN_MAPS
from machine import describe_machine, write_results
from standin_organs import organ_step
from standin_pool import TARGETS, anatomy_cases, load_cases, phantom_cases
from standin_teachers import TRAINING_MAPS, TRAINING_PHANTOM_SEEDS, provenance

from nnunetv2_muduo.finetuning.starting_point import start_from_teacher
from nnunetv2_muduo.teachers.checkpoint import save_teacher
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.training import TrainingSettings, mean_over_targets, train_teacher, validate
from nnunetv2_muduo.teachers.weights import load_teacher

matplotlib.use("Agg")
from matplotlib import pyplot

RESULTS = Path(__file__).resolve().parent / "results"
KINDS = ("usual", "hard")
PROMPTS = ("1 click", "5 clicks", "10 clicks", "3 points", "mask")


def training_scans(pool: Path, anatomy: Path, *, phantoms: int) -> list[Path]:
    """Bodies around the training maps, three hard scans of each and a usual one, and usual phantoms."""
    scans = anatomy_cases(pool, anatomy, TRAINING_MAPS, simulations=3, hard=True)
    scans += anatomy_cases(pool, anatomy, TRAINING_MAPS, simulations=1)
    return scans + phantom_cases(pool, range(TRAINING_PHANTOM_SEEDS, TRAINING_PHANTOM_SEEDS + phantoms))


def unseen_crops(pool: Path, anatomy: Path, *, modality: str, settings: CropSettings, crops: int) -> dict[str, Any]:
    """Kind -> cubes of bodies around maps that no stand-in learnt from, two at a time with four targets each."""
    cubes = {}
    for kind in KINDS:
        scans = anatomy_cases(pool, anatomy, UNSEEN_MAPS, simulations=1, hard=kind == "hard")
        sampler = CropSampler(load_cases(scans, modality=modality), targets=TARGETS, settings=settings)
        generator = torch.Generator().manual_seed(6011)
        cubes[kind] = [sampler.draw(2, 4, generator=generator) for _ in range(crops // 2)]
    return cubes


def train(
    teacher: torch.nn.Module, arguments: argparse.Namespace, settings: CropSettings, validation: Sequence[Crops]
) -> list[dict[str, Any]]:
    """Both stages; returns the rows of all validations, seconds and steps counted through."""
    scans = training_scans(arguments.out / "pool", arguments.anatomy, phantoms=arguments.phantoms)
    cases = load_cases(scans, modality=arguments.modality)
    stages = {
        "organs": (arguments.organ_steps, arguments.learning_rate, organ_step),
        "prompts": (arguments.steps, arguments.learning_rate / 3, None),
    }
    rows: list[dict[str, Any]] = []
    for name, (steps, rate, step) in stages.items():
        training = TrainingSettings(
            steps=steps,
            crops_per_step=arguments.crops_per_step if step else 2,
            learning_rate=rate,
            seed=arguments.seed,
            num_threads=arguments.threads,
            bfloat16=arguments.bfloat16,
            validate_every=arguments.validate_every,
            progress=sys.stderr.isatty(),
        )
        state = train_teacher(
            teacher,
            cases,
            targets=TARGETS,
            settings=training,
            crop_settings=settings,
            folder=arguments.out / f"{arguments.modality.lower()}_{name}",
            validation=validation,
            step=step,
            clicks=CLICKS,
            validate_first=name == "organs",
        )
        seconds = rows[-1]["seconds"] if rows else 0
        rows += [{"stage": name, **row, "seconds": row["seconds"] + seconds} for row in state.validation]
    return rows


def table_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[list[str]]:
    """A line for each kind of scan and target, then means; each number "before -> after"."""
    lines = []
    for kind in KINDS:
        groups = {target: (target,) for target in TARGETS}
        groups |= {"**mean**": tuple(TARGETS), "**large organs**": LARGE_ORGANS}
        for name, members in groups.items():
            old, new = ([row for row in rows[kind] if row["target"] in members] for rows in (before, after))
            if new:
                old_means, new_means = mean_over_targets(old), mean_over_targets(new)
                lines.append([kind, name, *[f"{old_means[p]:.3f} -> {new_means[p]:.3f}" for p in PROMPTS]])
    return lines


def draw(rows: Sequence[Mapping[str, Any]], path: Path, *, threads: int, title: str) -> None:
    """Dice on hard scans over core-minutes, of several prompts and, at 5 clicks, of each organ."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    moments = list(dict.fromkeys((row["stage"], row["step"], row["seconds"]) for row in rows))
    minutes = [seconds * threads / 60 for _, _, seconds in moments]
    by_moment = [[row for row in rows if (row["stage"], row["step"], row["seconds"]) == moment] for moment in moments]
    for prompt in PROMPTS:
        left.plot(minutes, [mean_over_targets(part)[prompt] for part in by_moment], label=prompt)
    for organ in TARGETS:
        dice = [
            [row["dice"] for row in part if (row["target"], row["prompt"]) == (organ, "5 clicks")] for part in by_moment
        ]
        if all(dice):
            right.plot(minutes, [values[0] for values in dice], label=organ)
    left.set(title="mean over organs", ylabel="Dice, unseen bodies, hard scans")
    right.set(title="after 5 clicks", ylim=(0, 1))
    for axis in (left, right):
        axis.set_xlabel("core-minutes, measuring included")
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
    parser.add_argument("--organ-steps", type=int, default=2000, help="steps without prompts")
    parser.add_argument("--crops-per-step", type=int, default=4, help="cubes of a step without prompts")
    parser.add_argument("--steps", type=int, default=300, help="steps with prompts")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--phantoms", type=int, default=24)
    parser.add_argument("--crops", type=int, default=80, help="cubes of the table, of each kind")
    parser.add_argument("--validate-every", type=int, default=500)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bfloat16", action="store_true", help="for CPUs with bfloat16 instructions")
    return parser.parse_args()


def main() -> None:
    """Simulate, train, measure, tabulate, draw, and write the weights in half precision."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    name, pool = f"standin_{arguments.modality.lower()}", arguments.out / "pool"
    teacher, origin = start_from_teacher(name)
    settings = CropSettings(size=teacher.spec.cube_size, clamp=CLAMP[arguments.modality], flips=False)  # type: ignore[union-attr]
    cubes = unseen_crops(pool, arguments.anatomy, modality=arguments.modality, settings=settings, crops=arguments.crops)
    rows = train(teacher, arguments, settings, cubes["hard"][:8])
    command = shlex.join(["python", *sys.argv])
    info = provenance(arguments.modality, seed=arguments.seed, command=command)
    info |= {"steps": {"organs": arguments.organ_steps, "prompts": arguments.steps}, "seconds": rows[-1]["seconds"]}
    info |= {"earlier": origin.get("info", {})}
    save_teacher(teacher, arguments.out / f"{name}.pth", extra=info, half=True)  # type: ignore[arg-type]
    stored = load_teacher(f"{name}.pth", folder=arguments.out.resolve())  # what is measured is what is written
    shipped = load_teacher(name)
    before, after = ({kind: validate(one, cubes[kind], clicks=CLICKS) for kind in KINDS} for one in (shipped, stored))
    results = arguments.results / f"hardened_{arguments.modality.lower()}"
    write_results(
        results,
        title=f"Stand-in {arguments.modality} teacher, before -> after training on hard scans: Dice on bodies around "
        "unseen organ maps",
        header=["scans", "target", "1 click", "5 clicks", "10 clicks", "3 points at once", "mended mask"],
        rows=table_rows(before, after),
        record={"before": before, "after": after, "curve": rows, "weights": info, "command": command},
        machine=describe_machine(torch.device("cpu")),
    )
    minutes = rows[-1]["seconds"] * arguments.threads / 60
    draw(rows, results.with_suffix(".png"), threads=arguments.threads, title=f"{name}: {minutes:.0f} core-minutes more")


if __name__ == "__main__":
    main()
