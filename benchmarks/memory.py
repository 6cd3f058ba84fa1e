"""Does memory come out as `muduo doctor` predicts it? Real processes, their largest resident memory, on the CPU.

    python benchmarks/memory.py --of trainings preprocessing
    python benchmarks/memory.py --of export --scan 310 200 200
    python benchmarks/memory.py --of workers --trainings 5 6 7

*Trainings*: `nnUNetv2_train -device cpu` of a tiny dataset, three trainers with the shipped stand-ins. A step is what
a training takes beyond the same training with the smallest patch, measured and predicted; the smallest must be so large
that its steps, not the imports, are the process's peak. glibc gives freed memory
back at once (MALLOC_MMAP_THRESHOLD_), so that what is seen is what is held. *Preprocessing*: `muduo
preprocess-unlabelled` of a whole body. *Export*: masks written by nnU-Net's function from logits of 13 classes. The
libraries' share (`memory.host.LIBRARIES`) was chosen when runs of preprocessing were known; nothing else is fitted.
*Workers*: trainings with worker processes, see `training_memory.py`.
What other runs measured is kept, row by row.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from machine import describe_machine, write_results
from process_memory import peaks_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from planned_dataset import unet_plans
from trainable_dataset import DATASET, SETTINGS, SPACING_IN_MM, TrainableDataset
from training_memory import TRAININGS, trainings_with_workers

from nnunetv2_muduo.memory.host import LIBRARIES, ScanShape, export_bytes, preprocessing_bytes
from nnunetv2_muduo.memory.training_step import simulate_step
from nnunetv2_muduo.trainer_folder import trainer_folder
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuo import nnUNetTrainerMuDuo
from nnunetv2_muduo.trainers.nnUNetTrainerMuDuoSupervised import nnUNetTrainerMuDuoSupervised
from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE
from nnunetv2_muduo.training.lean_export import LeanConfiguration

RESULTS = Path(__file__).resolve().parent / "results" / "memory"
PARTS = ("trainings", "preprocessing", "export", "workers")
TRAINERS = (nnUNetTrainerMuDuoSupervised, nnUNetTrainerMuDuo, nnUNetTrainerPETCTMAE)
FEATURES, CLASSES = 8, 13
SCAN_SPACING = (3.0, 2.04, 2.04)  # (z, y, x) in mm
PLANNED_SPACINGS = {"at the scan's spacing": SCAN_SPACING, "planned at 2.5 mm": (2.5, 2.5, 2.5)}
GIB, MIB = 1024**3, 1024**2


@dataclass(frozen=True)
class Compared:
    """One row: bytes."""

    part: str
    what: str
    measured: int
    predicted: int
    date: str = field(default_factory=lambda: date.today().isoformat())

    @property
    def deviation(self) -> str:
        """Of the prediction, in per cent of what was measured."""
        return f"{(self.predicted / self.measured - 1) * 100:+.1f} %"


def compare_trainings(folder: Path, trainers: Sequence[type], patches: Sequence[int]) -> Iterator[Compared]:
    """Each trainer with cubes of these edges; the smallest is what the others are held against."""
    with pytest.MonkeyPatch.context() as patch:
        dataset = TrainableDataset(folder, patch)
        environment = {**os.environ, "nnUNet_extTrainer": str(trainer_folder()), "MALLOC_MMAP_THRESHOLD_": "131072"}
        for trainer in trainers:
            idle = _train(dataset, trainer, patches[0], environment)
            for edge in patches[1:]:
                measured, predicted = _train(dataset, trainer, edge, environment)
                what = f"{trainer.__name__}, a step at {edge} cubed beyond one at {patches[0]} cubed"
                yield Compared("trainings", what, measured - idle[0], predicted - idle[1])


def _train(dataset: TrainableDataset, trainer: type, edge: int, environment: dict) -> tuple[int, int]:
    """Peak of the process that trains, and of the simulated step."""
    plans = unet_plans(patch_size=(edge,) * 3, features=FEATURES)
    plans["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
    steps = {"num_epochs": 1, "iterations_per_epoch": 2, "val_iterations_per_epoch": 1}
    plans |= {"muduo": SETTINGS, "mae": {**steps, "batch_size": 2}}
    (dataset.preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans))
    results = dataset.folder / "nnUNet_results"
    shutil.rmtree(results)
    fold = "all" if trainer is nnUNetTrainerPETCTMAE else "0"
    output = results / DATASET / f"{trainer.__name__}__nnUNetPlans__3d_fullres" / f"fold_{fold}"
    command = [_script("nnUNetv2_train"), DATASET[7:10], "3d_fullres", fold, "-tr", trainer.__name__, "-device", "cpu"]
    peaks = peaks_of(
        command,
        environment=environment,
        log=dataset.folder / "log.txt",
        enough=(output / "checkpoint_final.pth").is_file,  # validation is another matter
    )
    step = simulate_step(trainer, plans, configuration="3d_fullres", dataset_json=dataset.dataset_json, on_cuda=False)
    print(trainer.__name__, edge, f"{peaks[0] / MIB:.0f} MiB, a step of {step.peak / MIB:.0f} MiB", flush=True)
    return peaks[0], step.peak


def compare_workers(folder: Path, numbers: Sequence[int]) -> Iterator[Compared]:
    """Trainings with worker processes, the main process's libraries and step included; numbered as in TRAININGS."""
    for what, measured, predicted in trainings_with_workers(folder, [TRAININGS[number] for number in numbers]):
        yield Compared("workers", what, measured, predicted)


def compare_preprocessing(folder: Path, shape: tuple[int, ...]) -> Iterator[Compared]:
    """The process of `muduo preprocess-unlabelled` that takes most, libraries included."""
    raw, preprocessed = (folder / kind / "Dataset022_Body" for kind in ("nnUNet_raw", "nnUNet_preprocessed"))
    (raw / "imagesUn").mkdir(parents=True)
    content = {"channel_names": {"0": "CT", "1": "PET"}, "labels": _labels(), "numTraining": 0, "file_ending": ".nii"}
    (raw / "dataset.json").write_text(json.dumps(content))
    for channel in (0, 1):
        image = sitk.GetImageFromArray(_body(shape))
        image.SetSpacing(SCAN_SPACING[::-1])
        sitk.WriteImage(image, str(raw / "imagesUn" / f"body_{channel:04d}.nii"))
    del image
    environment = {**os.environ, **{name: str(folder / name) for name in ("nnUNet_raw", "nnUNet_preprocessed")}}
    for name, spacing in PLANNED_SPACINGS.items():
        shutil.rmtree(preprocessed, ignore_errors=True)
        preprocessed.mkdir(parents=True)
        plans = _plans(spacing)
        (preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans))
        command = [_script("muduo"), "preprocess-unlabelled", "-d", "22", "-c", "3d_fullres", "-np", "1"]
        measured = max(peaks_of(command, environment=environment, log=folder / "log.txt"))
        configuration = _configuration(plans)
        scan = ScanShape.planned(shape, SCAN_SPACING, configuration)
        predicted = preprocessing_bytes(scan, configuration, channels=2) + LIBRARIES
        yield Compared("preprocessing", f"{_product(shape)}, {name}", measured, predicted)


def compare_export(folder: Path, shape: tuple[int, ...]) -> Iterator[Compared]:
    """A process that writes the mask of a scan planned at another spacing, libraries included."""
    configuration = _configuration(_plans(PLANNED_SPACINGS["planned at 2.5 mm"]))
    scan = ScanShape.planned(shape, SCAN_SPACING, configuration)
    for kind in ("lean", "stock"):
        command = [sys.executable, __file__, "--write", kind, "--scan", *map(str, shape)]
        measured = max(peaks_of(command, environment=os.environ, log=folder / "log.txt"))
        predicted = export_bytes(scan, configuration, classes=CLASSES, lean=kind == "lean") + LIBRARIES
        name = {"lean": "as our trainers validate", "stock": "as nnUNetv2_predict does"}[kind]
        yield Compared("export", f"{_product(shape)}, {CLASSES} classes, {name}", measured, predicted)


def write_mask(kind: str, shape: tuple[int, ...]) -> None:
    """What a process of nnU-Net's does with logits that were handed to it."""
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(_plans(PLANNED_SPACINGS["planned at 2.5 mm"]))
    configuration = plans.get_configuration("3d_fullres")
    new_shape = ScanShape.planned(shape, SCAN_SPACING, configuration).new_shape
    if kind == "lean":
        configuration = LeanConfiguration(configuration.configuration)
    properties = {
        "spacing": SCAN_SPACING,
        "shape_before_cropping": shape,
        "shape_after_cropping_and_before_resampling": shape,
        "bbox_used_for_cropping": [[0, edge] for edge in shape],
    }
    logits = torch.ones(CLASSES, *new_shape, dtype=torch.half)
    labels = plans.get_label_manager({"labels": _labels()})
    convert_predicted_logits_to_segmentation_with_correct_shape(
        logits, plans, configuration, labels, properties, num_threads_torch=1
    )


def _labels() -> dict[str, int]:
    return {"background": 0, **{f"organ{number}": number for number in range(1, CLASSES)}}


def _plans(spacing: tuple[float, ...]) -> dict:
    plans = unet_plans()
    configuration = plans["configurations"]["3d_fullres"]
    configuration["spacing"] = list(spacing)
    configuration["resampling_fn_data_kwargs"]["order"] = 3  # as nnU-Net plans it
    configuration["resampling_fn_probabilities_kwargs"] = {**configuration["resampling_fn_data_kwargs"], "order": 1}
    return plans


def _configuration(plans: dict):
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    return PlansManager(plans).get_configuration("3d_fullres")


def _body(shape: tuple[int, ...]) -> np.ndarray:
    """Noise, [Z, Y, X] float32; no voxel is 0, so that nothing is cropped."""
    plane = np.random.default_rng(0).normal(100, 10, shape[1:]).astype(np.float32)
    return np.broadcast_to(plane, shape) + np.arange(shape[0], dtype=np.float32)[:, None, None]


def _product(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def keep(new: Compared) -> None:
    """The table and the record, with the row in place of an earlier one of its name."""
    file = RESULTS.with_suffix(".json")
    known = [Compared(**row) for row in json.loads(file.read_text())["compared"]] if file.is_file() else []
    rows = [row for row in known if row.what != new.what] + [new]
    rows.sort(key=lambda row: PARTS.index(row.part))
    write_results(
        RESULTS,
        title="Memory of real processes on the CPU against the prediction, in GiB",
        header=("part", "what", "predicted", "measured", "prediction against measurement", "date"),
        rows=[
            [row.part, row.what, f"{row.predicted / GIB:.3f}", f"{row.measured / GIB:.3f}", row.deviation, row.date]
            for row in rows
        ],
        record={"compared": [asdict(row) for row in rows]},
        machine=describe_machine(torch.device("cpu")),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", nargs="*", choices=PARTS, default=PARTS, help="what to measure now")
    names = [trainer.__name__ for trainer in TRAINERS]
    parser.add_argument("--trainers", nargs="+", choices=names, default=names)
    parser.add_argument("--patches", nargs="+", type=int, default=[64, 96], help="edges in voxels, smallest first")
    parser.add_argument("--scan", nargs=3, type=int, default=[619, 400, 400], help="voxels (z, y, x)")
    every = range(len(TRAININGS))
    parser.add_argument(
        "--trainings", nargs="+", type=int, choices=every, default=every, help="with workers, by number"
    )
    parser.add_argument("--write", choices=("lean", "stock"), help="write a mask, in a process that is watched")
    arguments = parser.parse_args()
    scan = tuple(arguments.scan)
    if arguments.write:
        write_mask(arguments.write, scan)
        return
    with tempfile.TemporaryDirectory() as folder:
        trainers = [trainer for trainer in TRAINERS if trainer.__name__ in arguments.trainers]
        parts = {
            "trainings": lambda: compare_trainings(Path(folder), trainers, arguments.patches),
            "preprocessing": lambda: compare_preprocessing(Path(folder), scan),
            "export": lambda: compare_export(Path(folder), scan),
            "workers": lambda: compare_workers(Path(folder), arguments.trainings),
        }
        for part in arguments.of:
            for row in parts[part]():
                keep(row)


if __name__ == "__main__":
    main()
