"""Teachers of several qualities for `teacher_quality.py`: a ClickUNet after 0, some hundred and some thousand steps.

They learn to tell organs apart as the first stage of the stand-ins does (`standin_teachers.py`), on the organ maps
000-023 and on phantoms, at a constant rate. Answers to prompts come from that, since the prompt head stays untrained.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from standin_organs import organ_step
from standin_pool import TARGETS, anatomy_cases, load_cases, phantom_cases
from standin_teachers import TRAINING_MAPS, TRAINING_PHANTOM_SEEDS, provenance

from nnunetv2_muduo.teachers.checkpoint import save_teacher
from nnunetv2_muduo.teachers.click_unet import ClickUNet
from nnunetv2_muduo.teachers.crops import CropSettings
from nnunetv2_muduo.teachers.intensity import CLAMP
from nnunetv2_muduo.teachers.training import train_teacher
from nnunetv2_muduo.teachers.training_settings import TrainingSettings

PHANTOMS = 48


def teacher_name(modality: str, steps: int) -> str:
    """What settings call a teacher; a file of this name lies in the weights folder."""
    return f"weak_{modality.lower()}_{steps:05d}"


def make_weak_teachers(folder: Path, steps: Sequence[int], *, pool: Path, anatomy: Path, seed: int = 11) -> None:
    """Write the teachers of both modalities after so many steps, those that are missing.

    Args:
        folder: the weights folder; keeps the training's checkpoint, too.
        steps: numbers of steps; 0 for random weights.
        pool: keeps the simulated scans.
        anatomy: folder of the organ maps.
        seed: of the weights and of the training.
    """
    for modality in ("CT", "PET"):
        missing = [n for n in sorted(steps) if not (folder / f"{teacher_name(modality, n)}.pth").is_file()]
        torch.manual_seed(seed)
        teacher = ClickUNet()
        if 0 in missing:
            _save(teacher, folder, modality=modality, steps=0, seed=seed)
            missing.remove(0)
        if missing:
            _train(teacher, folder, missing, modality=modality, pool=pool, anatomy=anatomy, seed=seed)


def _train(
    teacher: ClickUNet, folder: Path, steps: Sequence[int], *, modality: str, pool: Path, anatomy: Path, seed: int
) -> None:
    paths = phantom_cases(pool, range(TRAINING_PHANTOM_SEEDS, TRAINING_PHANTOM_SEEDS + PHANTOMS))
    paths += anatomy_cases(pool, anatomy, TRAINING_MAPS, simulations=1)
    cases = load_cases(paths, modality=modality)
    settings = TrainingSettings(steps=1, learning_rate=3e-3, decay_share=0.0, seed=seed, bfloat16=True)
    for number in steps:
        state = train_teacher(
            teacher,
            cases,
            targets=TARGETS,
            settings=replace(settings, steps=number, save_every=number),
            crop_settings=CropSettings(size=teacher.config.cube_size, clamp=CLAMP[modality], flips=False),
            folder=folder / f"training_{modality.lower()}",
            step=organ_step,
        )
        if state.step != number:
            raise SystemExit(f"{folder} holds a longer training than {number} steps: take another --out")
        _save(teacher, folder, modality=modality, steps=number, seed=seed)


def _save(teacher: ClickUNet, folder: Path, *, modality: str, steps: int, seed: int) -> None:
    info = provenance(modality, seed=seed, command="benchmarks/teacher_quality.py")
    info["what"] = f"deliberately weak {modality} teacher, {steps} steps on simulated images"
    save_teacher(teacher, folder / f"{teacher_name(modality, steps)}.pth", extra=info, half=True)
