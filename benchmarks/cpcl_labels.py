"""Does cross prompting confident learning make corrupted labels better? Nothing is trained, labels are measured.

    python benchmarks/cpcl_labels.py --anatomy ../shared/anatomy --out cpcl

A frozen teacher is prompted eleven times, as its training would, with clicks that the corrupted labels of bodies around
the organ maps 000-023 give. Each reading rectifies these labels by the answers; Dice of the given and of the rectified
labels against the clean ones says what the loss would be led to. For a teacher of the same and of the other modality.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import cast

import numpy as np
import torch
from label_noise import corrupt_labels
from machine import describe_machine, write_results
from standin_pool import TARGETS, anatomy_cases, load_cases
from standin_teachers import TRAINING_MAPS
from torch import Tensor
from tqdm import tqdm

from nnunetv2_muduo.teachers.cpcl import READINGS, Ensemble, rectified_labels
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.prompt_rounds import dice
from nnunetv2_muduo.teachers.protocol import PromptableTeacher
from nnunetv2_muduo.teachers.training_steps import published_round
from nnunetv2_muduo.teachers.weights import load_teacher

RESULTS = Path(__file__).resolve().parent / "results"
NAMES = list(TARGETS)
WIDTH = len(NAMES) + 1  # one voxel code holds both labels: WIDTH * true + given, 0 being no target
GIVEN = {name: tuple(WIDTH * true + number for true in range(WIDTH)) for number, name in enumerate(NAMES, start=1)}


def paired(case: TrainingCase, *, share: float, rng: np.random.Generator) -> TrainingCase:
    """The case with voxel codes that hold its true and its corrupted label."""
    given = corrupt_labels(case.labels, TARGETS, share=share, rng=rng)
    numbers = np.zeros(256, dtype=np.uint8)
    for number, wanted in enumerate(TARGETS.values(), start=1):
        numbers[list(wanted)] = number
    return case._replace(labels=(WIDTH * numbers[case.labels] + numbers[given]).astype(np.uint8))


def true_targets(crops: Crops) -> Tensor:
    """What the targets of the cubes would be without corruption: bool [B, K, S, S, S]."""
    true = crops.labels // WIDTH
    return torch.stack(
        [torch.stack([true[cube] == NAMES.index(name) + 1 for name in names]) for cube, names in enumerate(crops.names)]
    )


@torch.inference_mode()
def label_dice(
    teacher: PromptableTeacher, sampler: CropSampler, *, draws: int, clicks: int, bfloat16: bool
) -> Iterator[dict[str, float | bool]]:
    """For each target drawn: was it corrupted; Dice of its given and rectified labels and of the answers' mean."""
    generator = torch.Generator().manual_seed(0)
    for _ in tqdm(range(draws), unit="cube pair"):
        crops = sampler.draw(2, 4, generator=generator)
        given, true, ensemble = crops.targets, true_targets(crops), Ensemble()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            embedding = teacher.encode(crops.images)
            for _, logits in published_round(teacher, embedding, crops, clicks=clicks, generator=generator):
                ensemble.add(torch.sigmoid(logits.float()))
        labels = {"given": given, "answers' mean": ensemble.mean > 0.5}
        labels |= {
            reading: rectified_labels(given, ensemble.mean, ensemble.variance, reading=reading) for reading in READINGS
        }
        scores = {name: dice(label, true).flatten().tolist() for name, label in labels.items()}
        corrupted = (given != true).flatten(-3).any(-1).flatten().tolist()
        for index, spoiled in enumerate(corrupted):
            yield {"corrupted": spoiled, **{name: values[index] for name, values in scores.items()}}


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--out", type=Path, required=True, help="gets the simulated scans, in its folder 'pool'")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the table")
    parser.add_argument("--teachers", nargs="+", default=["standin_pet", "standin_ct"])
    parser.add_argument("--modality", choices=("CT", "PET"), default="PET", help="of the scans")
    parser.add_argument("--share", type=float, default=0.3, help="of the labels that are corrupted")
    parser.add_argument("--draws", type=int, default=40, help="of two cubes with four targets each")
    parser.add_argument("--clicks", type=int, default=11, help="prompts a round")
    parser.add_argument("--no-bfloat16", action="store_true", help="for CPUs without bfloat16 instructions")
    return parser.parse_args()


def table_rows(teacher: str, scores: Sequence[dict[str, float | bool]]) -> list[list[str]]:
    """A line for all targets, one for the corrupted and one for the others."""
    groups = {
        "all": list(scores),
        "corrupted": [row for row in scores if row["corrupted"]],
        "untouched": [row for row in scores if not row["corrupted"]],
    }
    columns = [name for name in scores[0] if name != "corrupted"]
    return [
        [
            teacher,
            group,
            str(len(rows)),
            *(f"{mean(cast(float, row[column]) for row in rows):.3f}" for column in columns),
        ]
        for group, rows in groups.items()
        if rows
    ]


def main() -> None:
    """Every teacher on the same cubes, then the table."""
    arguments = parse()
    cases = load_cases(
        anatomy_cases(arguments.out / "pool", arguments.anatomy, TRAINING_MAPS, simulations=1),
        modality=arguments.modality,
    )
    rng = np.random.default_rng(0)
    codes = [paired(case, share=arguments.share, rng=rng) for case in cases]
    settings = CropSettings(size=48, clamp=CLAMP[arguments.modality], flips=False)
    sampler = CropSampler(codes, targets=GIVEN, settings=settings)
    scores = {}
    for name in arguments.teachers:
        teacher = load_teacher(name, log=lambda line: None)
        scores[name] = list(
            label_dice(
                cast(PromptableTeacher, teacher.eval()),
                sampler,
                draws=arguments.draws,
                clicks=arguments.clicks,
                bfloat16=not arguments.no_bfloat16,
            )
        )
    columns = [name for name in next(iter(scores.values()))[0] if name != "corrupted"]
    write_results(
        arguments.results / f"cpcl_labels_{arguments.modality.lower()}",
        title=f"{arguments.modality} labels of which {arguments.share:.0%} are corrupted, before and after cross "
        f"prompting confident learning: Dice against clean labels",
        header=["teacher", "labels", "number", *columns],
        rows=[row for name, rows in scores.items() for row in table_rows(name, rows)],
        record={"targets": scores, "command": shlex.join(["python", *sys.argv])},
        machine=describe_machine(torch.device("cpu")),
    )


if __name__ == "__main__":
    main()
