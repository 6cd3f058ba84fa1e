"""Train a stand-in teacher on simulated whole-body scans; stop and repeat the command to continue.

    python benchmarks/standin_teachers.py --modality CT --anatomy ../shared/anatomy --out standin

Phantoms, and bodies around the organ maps 000-023; validated on the maps 024-031 and on other phantoms. Three stages:
the embedding learns to tell organs apart, the prompt head learns on it, then both together at a third of the rate.
"""

import argparse
import datetime
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from machine import describe_machine
from standin_organs import organ_step
from standin_pool import TARGETS, anatomy_cases, load_cases, phantom_cases

from nnunetv2_muduo.teachers.click_unet import ClickUNet, ClickUNetConfig
from nnunetv2_muduo.teachers.crops import Crops, CropSampler, CropSettings, TrainingCase
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.training import CHECKPOINT, TrainingState, train_teacher
from nnunetv2_muduo.teachers.training_settings import TrainingSettings

TRAINING_MAPS, VALIDATION_MAPS = range(24), range(24, 32)
TRAINING_PHANTOM_SEEDS, VALIDATION_PHANTOM_SEEDS = 100_000, 200_000  # far from the seeds anyone types
SIMULATIONS_PER_MAP = 4
VALIDATION_PHANTOMS = 16


def training_cases(pool: Path, anatomy: Path, *, phantoms: int, modality: str) -> list[TrainingCase]:
    """Simulate what is missing in `pool` and load it."""
    paths = phantom_cases(pool, range(TRAINING_PHANTOM_SEEDS, TRAINING_PHANTOM_SEEDS + phantoms))
    paths += anatomy_cases(pool, anatomy, TRAINING_MAPS, simulations=SIMULATIONS_PER_MAP)
    return load_cases(paths, modality=modality)


def validation_crops(
    pool: Path, anatomy: Path, *, modality: str, size: int, crops: int, seed: int = 2031
) -> dict[str, list[Crops]]:
    """Cubes from unseen phantoms and unseen real anatomies, four targets each, the same for the same seed."""
    seeds = range(VALIDATION_PHANTOM_SEEDS, VALIDATION_PHANTOM_SEEDS + VALIDATION_PHANTOMS)
    paths = {
        "unseen phantoms": phantom_cases(pool, seeds),
        "unseen anatomies": anatomy_cases(pool, anatomy, VALIDATION_MAPS, simulations=1),
    }
    settings = CropSettings(size=size, clamp=CLAMP[modality], flips=False)
    result = {}
    for origin, files in paths.items():
        sampler = CropSampler(load_cases(files, modality=modality), targets=TARGETS, settings=settings)
        generator = torch.Generator().manual_seed(seed)
        result[origin] = [sampler.draw(2, 4, generator=generator) for _ in range(crops // 2)]
    return result


def stage_folders(out: Path, modality: str) -> dict[str, Path]:
    """Where each stage of a training keeps its checkpoint and tables, in order."""
    name = modality.lower()
    return {"organs": out / f"{name}_organs", "head": out / f"{name}_head", "joint": out / name}


def write_weights(stages: Mapping[str, Path], path: Path, *, config: ClickUNetConfig, info: dict[str, object]) -> None:
    """Turn the last stage's checkpoint into a teacher file: half precision, shared tensors stored once."""
    checkpoints = {
        stage: torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
        for stage, folder in stages.items()
    }
    halves: dict[int, torch.Tensor] = {}
    weights = {  # the U-Net names its tensors several times over
        name: halves.setdefault(tensor.data_ptr(), tensor.half())
        for name, tensor in checkpoints["joint"]["model_state_dict"].items()
    }
    teacher = {
        "architecture": "ClickUNet",
        "config": config.to_dict(),
        "model_state_dict": weights,
        "info": info
        | {
            measure: {stage: round(checkpoint["state"][key]) for stage, checkpoint in checkpoints.items()}
            for measure, key in (("steps", "step"), ("seconds", "seconds"))
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(teacher, partial)
    partial.replace(path)


def provenance(modality: str, *, seed: int, command: str) -> dict[str, object]:
    """What a stand-in's file says about itself."""
    return {
        "what": f"stand-in {modality} teacher trained on simulated images; not SAM-Med3D, not SegAnyPET",
        "modality": modality,
        "seed": seed,
        "command": command,
        "date": datetime.date.today().isoformat(),
        "machine": describe_machine(torch.device("cpu"))["processor"],
        "torch": str(torch.__version__),  # a plain string: weights_only loading refuses torch's own type
    }


def train(arguments: argparse.Namespace, settings: TrainingSettings, config: ClickUNetConfig) -> TrainingState:
    """Train, or go on training, in the folder named after the modality."""
    pool, size = arguments.out / "pool", config.cube_size
    cases = training_cases(pool, arguments.anatomy, phantoms=arguments.phantoms, modality=arguments.modality)
    crops = validation_crops(pool, arguments.anatomy, modality=arguments.modality, size=size, crops=24)
    crop_settings = CropSettings(size=size, clamp=CLAMP[arguments.modality], flips=False)
    stages = stage_folders(arguments.out, arguments.modality)
    torch.manual_seed(arguments.seed)
    teacher = ClickUNet(config)
    common = {
        "targets": TARGETS,
        "crop_settings": crop_settings,
        "validation": [batch for batches in crops.values() for batch in batches],
    }
    organs = replace(settings, steps=arguments.organ_steps, decay_share=1.0)
    train_teacher(teacher, cases, settings=organs, folder=stages["organs"], step=organ_step, **common)
    teacher.network.requires_grad_(False)  # the untrained head would spoil what the embedding knows
    head = replace(settings, steps=arguments.head_steps)
    train_teacher(teacher, cases, settings=head, folder=stages["head"], **common)
    teacher.network.requires_grad_(True)
    joint = replace(settings, learning_rate=settings.learning_rate / 3, decay_share=1.0)
    return train_teacher(teacher, cases, settings=joint, folder=stages["joint"], **common)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modality", choices=("CT", "PET"), required=True)
    parser.add_argument("--anatomy", type=Path, required=True, help="folder of the 64 organ maps")
    parser.add_argument("--out", type=Path, required=True, help="gets the pool of scans, checkpoints and weights")
    parser.add_argument("--organ-steps", type=int, default=9000, help="steps of the first stage: organs, no prompts")
    parser.add_argument("--head-steps", type=int, default=400, help="steps of the second stage: prompt head alone")
    parser.add_argument("--steps", type=int, default=1000, help="steps of the last stage: everything together")
    parser.add_argument("--phantoms", type=int, default=240)
    parser.add_argument("--features", type=int, nargs="+", default=list(ClickUNetConfig().features_per_stage))
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--no-bfloat16", action="store_true", help="train in float32 (CPUs without bfloat16 instructions)"
    )
    parser.add_argument("--validate-every", type=int, default=500)
    return parser.parse_args(arguments)


def main() -> None:
    """Train and write `standin_ct.pth` or `standin_pet.pth` into the output folder."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    config = ClickUNetConfig(features_per_stage=tuple(arguments.features))
    settings = TrainingSettings(
        steps=arguments.steps,
        decay_share=0.5,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        num_threads=arguments.threads,
        bfloat16=not arguments.no_bfloat16,
        validate_every=arguments.validate_every,
        save_every=100,
        progress=sys.stderr.isatty(),
    )
    train(arguments, settings, config)
    info = provenance(arguments.modality, seed=arguments.seed, command=shlex.join(["python", *sys.argv]))
    weights = arguments.out / f"standin_{arguments.modality.lower()}.pth"
    write_weights(stage_folders(arguments.out, arguments.modality), weights, config=config, info=info)


if __name__ == "__main__":
    main()
