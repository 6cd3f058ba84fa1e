"""The host's memory of trainings on the CPU with worker processes, measured and predicted; a part of `memory.py`.

Trainings on large patches run twice: once glibc gives freed memory back at once (MALLOC_MMAP_THRESHOLD_), so that what
is seen is what is held, and once as it does by default, where it keeps some. Small ones run as it does by default.
Workers may be more than the machine's cores, which nnU-Net would not start: it is told of more. Pretraining is
predicted without workers alone.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import trainable_dataset
from planned_dataset import unet_plans
from process_memory import TreeMemory, tree_memory_of
from trainable_dataset import DATASET, SETTINGS, TrainableDataset

from nnunetv2_muduo.memory.cpu_steps import steps_on_cpu
from nnunetv2_muduo.memory.planned_patches import planned_patches
from nnunetv2_muduo.memory.training_host import TRAINING_LIBRARIES, TrainingBytes, training_bytes
from nnunetv2_muduo.memory.training_step import simulate_step
from nnunetv2_muduo.trainer_folder import trainer_folder
from nnunetv2_muduo.trainers.nnUNetTrainerMeanTeacher import nnUNetTrainerMeanTeacher
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE

SPACING_IN_MM = (3.0, 3.0, 3.0)  # whole bodies of about 290 x 98 x 160 voxels
STEPS = {"iterations_per_epoch": 8, "val_iterations_per_epoch": 3}
TRAIN = "import os; os.cpu_count = lambda: {}; from nnunetv2.run.run_training import run_training_entry as run; run()"


@dataclass(frozen=True)
class Training:
    """What is trained: patches are cubes."""

    trainer: type
    edge: int
    workers: int
    features: int = 4  # so few that the loaders are most of it
    modes: tuple[bool, ...] = (True, False)  # whether freed memory is given back

    def __str__(self) -> str:
        features = f", {self.features} features" if self.features != 4 else ""
        return f"{self.trainer.__name__}, {self.edge} cubed{features}, {self.workers} workers"


def _small(trainer: type, edge: int, features: int, workers: int) -> Training:
    return Training(trainer, edge, workers, features, modes=(False,))


TRAININGS = (
    Training(nnUNetTrainerMuDuo, 48, 2),
    Training(nnUNetTrainerMuDuo, 64, 4),
    Training(nnUNetTrainerMuDuoSupervised, 96, 2),
    Training(nnUNetTrainerMuDuoSupervised, 128, 2),
    Training(nnUNetTrainerMuDuo, 128, 2),
    _small(nnUNetTrainerMuDuoSupervised, 32, 16, 2),
    _small(nnUNetTrainerMuDuoSupervised, 64, 8, 2),
    _small(nnUNetTrainerMeanTeacher, 48, 8, 2),
    _small(nnUNetTrainerMuDuo, 32, 8, 2),
    _small(nnUNetTrainerPETCTMAE, 48, 8, 0),
    _small(nnUNetTrainerPETCTMAE, 64, 16, 0),
)


def trainings_with_workers(folder: Path, trainings: Sequence[Training] = TRAININGS) -> Iterator[tuple[str, int, int]]:
    """What is compared, measured and predicted bytes: of the whole training, and of its workers without batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainable_dataset, "SPACING_IN_MM", SPACING_IN_MM)
        dataset = TrainableDataset(folder, patch)
        for training in trainings:
            for gives_back in training.modes:
                yield from _compare(dataset, training, gives_back=gives_back)


def _compare(dataset: TrainableDataset, training: Training, *, gives_back: bool) -> Iterator[tuple[str, int, int]]:
    plans = unet_plans(patch_size=(training.edge,) * 3, features=training.features)
    plans["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
    plans |= {"muduo": SETTINGS | STEPS | {"seed": None}, "mae": STEPS | {"num_epochs": 1, "batch_size": 2}}
    measured = _train(dataset, training, plans, gives_back=gives_back)
    predicted = _predict(dataset, training, plans, gives_back=gives_back)
    print(training, gives_back, measured, predicted, flush=True)
    what = f"{training}, {'freed memory given back' if gives_back else 'as glibc does'}"
    yield f"{what}: all", measured.whole, predicted.total
    if training.workers:
        yield f"{what}: workers alone", measured.workers, predicted.workers


def _predict(dataset: TrainableDataset, training: Training, plans: dict, *, gives_back: bool) -> TrainingBytes:
    described = {"plans": plans, "configuration": "3d_fullres", "dataset_json": dataset.dataset_json}
    if training.trainer is nnUNetTrainerPETCTMAE:  # whose loader is another
        step = simulate_step(training.trainer, on_cuda=False, **described)
        return TrainingBytes(TRAINING_LIBRARIES + step.on_host(gives_back=gives_back), step.batch, 0)
    steps = steps_on_cpu(training.trainer, gives_back=gives_back, **described)
    patches = planned_patches(training.trainer, scan=_largest_scan(dataset), **described)
    return training_bytes(
        patches, workers=training.workers, seeded=False, on_cuda=False, gives_back=gives_back, steps=steps
    )


def _train(dataset: TrainableDataset, training: Training, plans: dict, *, gives_back: bool) -> TreeMemory:
    (dataset.preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans))
    results, name = dataset.folder / "nnUNet_results", training.trainer.__name__
    shutil.rmtree(results)
    environment = {
        **os.environ,
        "nnUNet_extTrainer": str(trainer_folder()),
        "nnUNet_n_proc_DA": str(training.workers),
        **({"MALLOC_MMAP_THRESHOLD_": "131072"} if gives_back else {}),
    }
    program = [sys.executable, "-c", TRAIN.format(max(training.workers, os.cpu_count() or 1))]
    fold = "all" if training.trainer is nnUNetTrainerPETCTMAE else "0"
    final = results / DATASET / f"{name}__nnUNetPlans__3d_fullres" / f"fold_{fold}" / "checkpoint_final.pth"
    return tree_memory_of(
        [*program, DATASET[7:10], "3d_fullres", fold, "-tr", name, "-device", "cpu"],
        environment=environment,
        log=dataset.folder / "log.txt",
        enough=final.is_file,  # validation is another matter
    )


def _largest_scan(dataset: TrainableDataset) -> tuple[int, ...]:
    """(Z, Y, X) of the preprocessed case with most voxels."""
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    cases = nnUNetDatasetBlosc2(str(dataset.preprocessed / "nnUNetPlans_3d_fullres"))
    shapes = [cases.load_case(name)[0].shape[1:] for name in cases.identifiers]
    return max(shapes, key=lambda shape: shape[0] * shape[1] * shape[2])
