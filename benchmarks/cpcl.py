"""Does cross prompting confident learning help on labels of which 30 % are corrupted?

    python benchmarks/cpcl.py --anatomy ../shared/anatomy --out cpcl

A teacher learns PET on bodies around the organ maps 000-023 whose labels are corrupted: plainly, and with CPCL in both
readings; and, for comparison, on the clean labels. It starts as the teacher of the other modality (as SegAnyPET came
from SAM-Med3D) or, with `--start same`, as one that knows PET from clean labels. Measured against clean labels of
bodies around the maps 024-063. Stop and repeat to continue; `--steps` may grow.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any, cast

import matplotlib
import numpy as np
import torch
from label_noise import corrupt_labels
from machine import describe_machine, write_results
from standin_pool import TARGETS, anatomy_cases, load_cases
from standin_teachers import TRAINING_MAPS
from torch import nn

from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.sam3d import Sam3D, Sam3DConfig
from nnunetv2_muduo.teachers.training import train_teacher
from nnunetv2_muduo.teachers.training_settings import TrainingSettings
from nnunetv2_muduo.teachers.validation import mean_over_targets
from nnunetv2_muduo.teachers.weights import load_teacher

matplotlib.use("Agg")
from matplotlib import pyplot

RESULTS = Path(__file__).resolve().parent / "results"
ARMS: dict[str, dict[str, Any]] = {  # settings of the training
    "plain": {},
    "CPCL, complement": {"cpcl": "complement"},
    "CPCL, ensemble": {"cpcl": "ensemble"},
    "CPCL, confident": {"cpcl": "confident"},
    "CPCL, confident alone": {"cpcl": "confident", "rectified_share": 1.0},
    "plain on clean labels": {},
}
PROMPTS = ("1 click", "3 clicks", "5 clicks")
UNSEEN_MAPS = range(24, 64)
USUAL_SHARE = 0.3  # of labels that are corrupted
SMALL_SAM3D = Sam3DConfig(
    image_size=48,
    patch_size=6,
    encoder_width=192,
    encoder_depth=6,
    encoder_heads=6,
    encoder_mlp_width=768,
    window_size=8,
    global_blocks=(2, 5),
    prompt_width=192,
    decoder_mlp_width=512,
    spacing_in_mm=8.0,
    orientation="LPS",
)


def corrupted_cases(
    cases: Sequence[TrainingCase], *, share: float, seed: int, whole: bool = False
) -> list[TrainingCase]:
    """The cases with a share of their labels corrupted, the same ones for the same seed.

    Anywhere, so that every case is of low quality; or, with `whole`, all labels of a share of the cases, which alone
    are of low quality.
    """
    rng = np.random.default_rng([seed, 30])
    if not whole:
        return [_corrupted(case, share, rng) for case in cases]
    chosen = set(rng.choice(len(cases), max(1, round(share * len(cases))), replace=False).tolist())
    return [_corrupted(case, 1.0, rng) if index in chosen else case for index, case in enumerate(cases)]


def _corrupted(case: TrainingCase, share: float, rng: np.random.Generator) -> TrainingCase:
    return case._replace(labels=corrupt_labels(case.labels, TARGETS, share=share, rng=rng), low_quality=True)


def starting_teacher(arguments: argparse.Namespace, seed: int) -> nn.Module:
    """The shipped stand-in of the other or the same modality, or a small Sam3D with random weights."""
    torch.manual_seed(seed)
    if arguments.architecture == "Sam3D":
        return Sam3D(SMALL_SAM3D)
    other = {"CT": "PET", "PET": "CT"}[arguments.modality]
    modality = arguments.modality if arguments.start == "same" else other
    return cast(nn.Module, load_teacher(f"standin_{modality.lower()}", log=lambda line: None)).requires_grad_(True)


def run_arm(
    arguments: argparse.Namespace, arm: str, seed: int, *, cases: Sequence[TrainingCase], validation: Sequence[Crops]
) -> list[dict[str, Any]]:
    """Train one arm with one seed; rows of its validation at every step measured."""
    settings = TrainingSettings(
        steps=arguments.steps,
        scheme="published",
        clicks_per_round=arguments.clicks,
        cpcl_after=arguments.after,
        learning_rate=arguments.learning_rate,
        warmup_steps=10,
        seed=seed,
        num_threads=arguments.threads,
        bfloat16=not arguments.no_bfloat16,
        validate_every=max(1, arguments.steps // 4),
        save_every=20,
        progress=sys.stderr.isatty(),
        **ARMS[arm],
    )
    scans = cases
    if arm != "plain on clean labels":
        scans = corrupted_cases(cases, share=arguments.share, seed=seed, whole=arguments.known)
    arm_name = arm.replace(", ", "_").replace(" ", "_")
    name = f"{arguments.architecture}_{arguments.start}_{arguments.modality}_{arm_name}_{seed}"
    state = train_teacher(
        starting_teacher(arguments, seed),
        scans,
        targets=TARGETS,
        settings=settings,
        crop_settings=CropSettings(size=48, clamp=CLAMP[arguments.modality], flips=False),
        folder=arguments.out / name,
        validation=validation,
        device=torch.device(arguments.device),
        validate_first=True,
        log=lambda line: print(f"{arm}, seed {seed}: {line}", flush=True),
    )
    return state.validation


def validation_crops(cases: Sequence[TrainingCase], *, modality: str, crops: int) -> list[Crops]:
    """Cubes of unseen bodies with clean labels."""
    settings = CropSettings(size=48, clamp=CLAMP[modality], flips=False)
    sampler = CropSampler(cases, targets=TARGETS, settings=settings)
    generator = torch.Generator().manual_seed(4057)
    return [sampler.draw(2, 4, generator=generator) for _ in range(crops // 2)]


def final_dice(rows: Sequence[dict[str, Any]], prompt: str) -> float:
    """Dice of the last validation, mean over targets."""
    last = max(row["step"] for row in rows)
    return mean_over_targets([row for row in rows if row["step"] == last])[prompt]


def table_rows(results: dict[str, list[list[dict[str, Any]]]]) -> list[list[str]]:
    """A line an arm: mean and standard deviation over the seeds, mean gain over plain training, seeds won."""
    plain = {prompt: [final_dice(rows, prompt) for rows in results["plain"]] for prompt in PROMPTS}
    lines = []
    for arm, runs in results.items():
        scores = {prompt: [final_dice(rows, prompt) for rows in runs] for prompt in PROMPTS}
        spread = [f"{mean(values):.3f} ± {stdev(values) if len(values) > 1 else 0:.3f}" for values in scores.values()]
        gains = [_gain(scores[prompt], plain[prompt]) if arm != "plain" else "" for prompt in (PROMPTS[0], PROMPTS[-1])]
        lines.append([arm, *spread, *gains])
    return lines


def _gain(scores: Sequence[float], plain: Sequence[float]) -> str:
    """Mean difference, and in how many seeds it is one for the better."""
    gains = [ours - theirs for ours, theirs in zip(scores, plain, strict=True)]
    return f"{mean(gains):+.3f} ({sum(gain > 0 for gain in gains)} of {len(gains)})"


def draw(results: dict[str, list[list[dict[str, Any]]]], path: Path) -> None:
    """Dice after 1 and after 5 clicks over the steps, one line a seed, one colour an arm."""
    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for axis, prompt in zip(axes, ("1 click", "5 clicks"), strict=True):
        for number, (arm, runs) in enumerate(results.items()):
            for seed, rows in enumerate(runs):
                steps = sorted({row["step"] for row in rows})
                dice = [mean_over_targets([row for row in rows if row["step"] == step])[prompt] for step in steps]
                axis.plot(steps, dice, color=f"C{number}", marker=".", label=None if seed else arm)
        axis.set(xlabel="step", title=f"after {prompt}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("Dice, clean labels, unseen bodies")
    axes[1].legend()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--out", type=Path, required=True, help="gets the scans and the trainings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table and the figure")
    parser.add_argument("--pool", type=Path, help="folder of simulated scans (default: OUT/pool)")
    parser.add_argument("--modality", choices=("CT", "PET"), default="PET")
    parser.add_argument("--architecture", choices=("ClickUNet", "Sam3D"), default="ClickUNet")
    parser.add_argument("--start", choices=("other", "same"), default="other", help="stand-in a ClickUNet starts as")
    parser.add_argument("--arms", nargs="+", choices=tuple(ARMS), default=list(ARMS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--share", type=float, default=USUAL_SHARE, help="of the labels that are corrupted")
    parser.add_argument("--known", action="store_true", help="corrupt whole cases, and say which; others are trusted")
    parser.add_argument("--cases", type=int, default=len(TRAINING_MAPS), help="bodies to train on")
    parser.add_argument("--after", type=int, default=0, help="steps before CPCL starts")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--clicks", type=int, default=6, help="prompts a round; 11 as published, for those with time")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--crops", type=int, default=24, help="cubes to measure on")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-bfloat16", action="store_true", help="for CPUs without bfloat16 instructions")
    return parser.parse_args()


def main() -> None:
    """Every arm with every seed, then the table and the figure."""
    arguments = parse()
    pool = arguments.pool or arguments.out / "pool"
    cases, unseen = (
        load_cases(anatomy_cases(pool, arguments.anatomy, maps, simulations=1), modality=arguments.modality)
        for maps in (TRAINING_MAPS[: arguments.cases], UNSEEN_MAPS)
    )
    validation = validation_crops(unseen, modality=arguments.modality, crops=arguments.crops)
    arms = ["plain", *[arm for arm in arguments.arms if arm != "plain"]]
    results: dict[str, list[list[dict[str, Any]]]] = {arm: [] for arm in arms}
    for seed in arguments.seeds:
        for arm in arms:
            results[arm].append(run_arm(arguments, arm, seed, cases=cases, validation=validation))
    name = f"cpcl_{arguments.architecture.lower()}_{arguments.start}_{arguments.modality.lower()}"
    name += f"_{arguments.cases}_cases" + ("_known" if arguments.known else "")
    name += "" if arguments.share == USUAL_SHARE else f"_{arguments.share:.0%}".replace("%", "_percent")
    write_results(
        arguments.results / name,
        title=f"{arguments.architecture} (start: {arguments.start} modality) on {arguments.modality} labels of which "
        f"{arguments.share:.0%} are corrupted, {arguments.cases} bodies, {arguments.steps} steps: "
        f"Dice against clean labels, {len(arguments.seeds)} seeds",
        header=["training", *PROMPTS, "gain at 1 click (seeds)", "gain at 5 clicks (seeds)"],
        rows=table_rows(results),
        record={"validation": results, "seeds": arguments.seeds, "command": shlex.join(["python", *sys.argv])},
        machine=describe_machine(torch.device(arguments.device)),
    )
    draw(results, arguments.results / f"{name}.png")


if __name__ == "__main__":
    main()
