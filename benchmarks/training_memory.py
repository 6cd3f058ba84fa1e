"""The host's memory of trainings on the CPU with worker processes, measured and predicted; a part of `memory.py`.

Each training runs twice. Once glibc gives freed memory back at once (MALLOC_MMAP_THRESHOLD_), so that what is seen is
what is held; once it does as it does by default, and keeps some. The prediction for the second knows that of the
workers alone: what glibc keeps of a step on the CPU, which a training on a GPU does not do there, is not predicted.
Workers may be more than the machine's cores, which nnU-Net would not start: it is told of more.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trainable_dataset
from planned_dataset import unet_plans
from process_memory import TreeMemory, tree_memory_of
from trainable_dataset import DATASET, SETTINGS, TrainableDataset

from nnunetv2_muduo.memory.planned_patches import planned_patches
from nnunetv2_muduo.memory.training_host import training_bytes
from nnunetv2_muduo.memory.training_step import simulate_step
from nnunetv2_muduo.trainer_folder import trainer_folder
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised

SPACING_IN_MM = (3.0, 3.0, 3.0)  # whole bodies of about 290 x 98 x 160 voxels
FEATURES = 4  # so few that the loaders are most of it
STEPS = {"iterations_per_epoch": 8, "val_iterations_per_epoch": 3, "seed": None}
TRAIN = "import os; os.cpu_count = lambda: {}; from nnunetv2.run.run_training import run_training_entry as run; run()"


@dataclass(frozen=True)
class Training:
    """What is trained: patches are cubes."""

    trainer: type
    edge: int
    workers: int


TRAININGS = (
    Training(nnUNetTrainerMuDuo, 48, 2),
    Training(nnUNetTrainerMuDuo, 64, 4),
    Training(nnUNetTrainerMuDuoSupervised, 96, 2),
    Training(nnUNetTrainerMuDuoSupervised, 128, 2),
    Training(nnUNetTrainerMuDuo, 128, 2),
)


def trainings_with_workers(folder: Path) -> Iterator[tuple[str, int, int]]:
    """What is compared, measured and predicted bytes: of the whole training, and of its workers without batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainable_dataset, "SPACING_IN_MM", SPACING_IN_MM)
        dataset = TrainableDataset(folder, patch)
        for training in TRAININGS:
            for gives_back in (True, False):
                yield from _compare(dataset, training, gives_back=gives_back)


def _compare(dataset: TrainableDataset, training: Training, *, gives_back: bool) -> Iterator[tuple[str, int, int]]:
    plans = unet_plans(patch_size=(training.edge,) * 3, features=FEATURES)
    plans["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
    plans["muduo"] = SETTINGS | STEPS
    described = {"plans": plans, "configuration": "3d_fullres", "dataset_json": dataset.dataset_json}
    measured = _train(dataset, training, plans, gives_back=gives_back)
    step = simulate_step(training.trainer, on_cuda=False, **described)
    patches = planned_patches(training.trainer, scan=_largest_scan(dataset), **described)
    host = training_bytes(patches, workers=training.workers, seeded=False, on_cuda=False, gives_back=gives_back)
    predicted = host.total + step.peak - step.batch
    print(training, gives_back, measured, host, step, flush=True)
    how = "freed memory given back" if gives_back else "as glibc does"
    what = f"{training.trainer.__name__}, {training.edge} cubed, {training.workers} workers, {how}"
    yield f"{what}: all", measured.whole, predicted
    yield f"{what}: workers alone", measured.workers, host.workers


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
    final = results / DATASET / f"{name}__nnUNetPlans__3d_fullres" / "fold_0" / "checkpoint_final.pth"
    return tree_memory_of(
        [*program, DATASET[7:10], "3d_fullres", "0", "-tr", name, "-device", "cpu"],
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
