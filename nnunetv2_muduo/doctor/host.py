"""Does the host's memory suffice for the largest scan, and for a training?"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_muduo.datasets.scan_header import header_grid
from nnunetv2_muduo.datasets.scan_io import FORMATS
from nnunetv2_muduo.doctor.check import Check, ok, warn
from nnunetv2_muduo.settings import Settings

if TYPE_CHECKING:
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

NAME = "host memory"
GIB = 1024**3
IMAGE_FOLDERS = ("imagesTr", "imagesUn", "imagesTs")
# nnU-Net's own numbers where these variables do not say: of preprocessing and a validation's masks; of prediction's
DEFAULTS = {"nnUNet_def_n_proc": 8, "nnUNet_nps": 3}
_WORKERS = "nnUNet_n_proc_DA"
_GIVES_BACK = "MALLOC_MMAP_THRESHOLD_"  # set, it has glibc return what is freed


@dataclass(frozen=True)
class HostNeed:
    """What the largest scan takes, in GiB a process, libraries included.

    Attributes:
        scan: its name.
        shape: (Z, Y, X) of its file.
        preprocessing: a process of `muduo preprocess-unlabelled` or nnU-Net's own preprocessing.
        prediction: the process that predicts, where the logits are not kept on a GPU.
        export: a process that writes the mask in the validation of our trainers.
        stock_export: the same in `nnUNetv2_predict`.
        new_shape: (Z, Y, X) of the scan, preprocessed.
    """

    scan: str
    shape: tuple[int, ...]
    preprocessing: float
    prediction: float
    export: float
    stock_export: float
    new_shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class TrainingNeed:
    """What a training on a GPU takes of the host, in GiB.

    Attributes:
        total: of all processes together, by number of workers: 0, 1, ..., and as many as would be started.
        on_cpu: the same on the CPU, steps included, with as many workers as would be started; None: not predicted.
    """

    total: tuple[float, ...]
    on_cpu: float | None = None

    @property
    def workers(self) -> int:
        """How many would be started for labelled patches (`nnUNet_n_proc_DA`)."""
        return len(self.total) - 1

    def fitting(self, available: float) -> int | None:
        """How many workers, at least 1, go into these GiB; None where not even one does."""
        return max((number for number, total in enumerate(self.total) if number and total <= available), default=None)


def check_host(
    raw_folder: Path,
    *,
    plans: dict,
    configuration: str,
    dataset_json: Mapping,
    trainer_class: "type[nnUNetTrainer]",
    available: int | None,
) -> list[Check]:
    """The largest scan of `IMAGE_FOLDERS`, and a training, against `available` bytes; empty where one is not known."""
    import torch

    need = estimate_host_need(raw_folder, plans=plans, configuration=configuration, dataset_json=dataset_json)
    if need is None or available is None:
        return []
    training = estimate_training_need(
        plans,
        configuration=configuration,
        dataset_json=dataset_json,
        trainer_class=trainer_class,
        scan=need.new_shape,
        on_cpu=not torch.cuda.is_available(),
    )
    processes, exports = map(_processes, DEFAULTS)
    return [judge_host(need, available / GIB, processes=processes, exports=exports, training=training)]


def judge_host(
    need: HostNeed, available: float, *, processes: int, exports: int, training: TrainingNeed | None = None
) -> Check:
    """Memory of the machine, in GiB, against what nnU-Net's processes at work at the same time take.

    Args:
        need: of one process.
        available: memory in GiB.
        processes: that preprocess, or write the masks of a validation.
        exports: that write the masks of `nnUNetv2_predict`.
        training: of all processes of a training together; None: not known.
    """
    found = (
        f"{available:.1f} GiB; about, for each process, with the largest scan ({need.scan}, "
        f"{' x '.join(map(str, need.shape))}): preprocessing {need.preprocessing:.1f} GiB, predicting "
        f"{need.prediction:.1f} without a GPU that holds it, writing the mask {need.export:.1f} in validation and "
        f"{need.stock_export:.1f} in nnUNetv2_predict; {_described(training)}"
    )
    largest = max(need.preprocessing, need.export)
    fitting = int(available // largest)
    if max(largest, need.prediction) > available:
        return warn(NAME, found, "use a machine with more memory, or crop the scan")
    remedies = []
    if fitting < processes:
        remedies.append(
            f"{processes} of them at once may not fit: export nnUNet_def_n_proc={fitting}, and -np {fitting} for "
            "muduo preprocess-unlabelled"
        )
    if remedy := _remedy_of_predicting(int(available // need.stock_export), exports):
        remedies.append(remedy)
    if training is not None and (remedy := _remedy_of_training(training, available)):
        remedies.append(remedy)
    return warn(NAME, found, "; ".join(remedies)) if remedies else ok(NAME, found)


def _described(training: TrainingNeed | None) -> str:
    if training is None:
        return "training is not predicted"
    on_cpu = "" if training.on_cpu is None else f"; on the CPU, its steps included, {training.on_cpu:.1f}"
    workers = f"with {_WORKERS}={training.workers}"
    return f"training on a GPU, all processes together, {training.total[-1]:.1f} {workers}{on_cpu}"


def _remedy_of_training(training: TrainingNeed, available: float) -> str:
    """What to do about a training; "" where it fits."""
    if training.total[-1] <= available:
        return ""
    number = training.fitting(available)
    if number:
        return f"a training may not fit: export {_WORKERS}={number}"
    return "a training may not fit with one worker either: train on a machine with more memory"


def _remedy_of_predicting(fitting: int, exports: int) -> str:
    """What to do about the masks of `nnUNetv2_predict`; "" where as many processes fit as write them."""
    if fitting >= exports:
        return ""
    if fitting:
        return f"nnUNetv2_predict writes {exports} masks at once, which may not fit: give it -nps {fitting}"
    return (
        "nnUNetv2_predict may not fit with one process that writes masks (-nps 1) either: plan at a spacing near the "
        "scans' own, or predict on a machine with more memory"
    )


def estimate_host_need(raw_folder: Path, *, plans: dict, configuration: str, dataset_json: Mapping) -> HostNeed | None:
    """What the largest scan takes; None where there is none whose header can be read."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from nnunetv2_muduo.cases.channels import channel_names
    from nnunetv2_muduo.memory.host import LIBRARIES, ScanShape, export_bytes, prediction_bytes, preprocessing_bytes

    manager = PlansManager(plans)
    settings = manager.get_configuration(configuration)
    scans = [
        (file, ScanShape.planned(shape, spacing, settings))
        for file, shape, spacing in _grids(raw_folder, dataset_json, plans)
    ]
    if not scans:
        return None
    channels, classes = len(channel_names(dataset_json)), manager.get_label_manager(dataset_json)
    heads = classes.num_segmentation_heads
    file, largest = max(scans, key=lambda pair: preprocessing_bytes(pair[1], settings, channels=channels))

    def in_gib(size: int) -> float:
        return (size + LIBRARIES) / GIB

    return HostNeed(
        scan=file.name,
        shape=largest.shape,
        preprocessing=in_gib(preprocessing_bytes(largest, settings, channels=channels)),
        prediction=in_gib(prediction_bytes(largest, channels=channels, classes=heads)),
        export=in_gib(export_bytes(largest, settings, classes=heads, lean=True)),
        stock_export=in_gib(export_bytes(largest, settings, classes=heads, lean=False)),
        new_shape=largest.new_shape,
    )


def estimate_training_need(
    plans: dict,
    *,
    configuration: str,
    dataset_json: Mapping,
    trainer_class: "type[nnUNetTrainer]",
    scan: Sequence[int],
    on_cpu: bool = False,
) -> TrainingNeed | None:
    """What a training takes with as many workers as nnU-Net would start, and with fewer.

    Args:
        plans: nnU-Net's plans, with their settings.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        trainer_class: of the training.
        scan: (Z, Y, X) of the largest scan, preprocessed.
        on_cpu: predict it on the CPU as well, where its step can be simulated.

    Returns:
        None where the trainer does not tell the sizes of its patches.
    """
    from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

    from nnunetv2_muduo.memory.cpu_steps import steps_on_cpu
    from nnunetv2_muduo.memory.planned_patches import planned_patches
    from nnunetv2_muduo.memory.training_host import training_bytes

    try:
        patches = planned_patches(
            trainer_class, plans, configuration=configuration, dataset_json=dict(dataset_json), scan=scan
        )
        workers = get_allowed_n_proc_DA()
    except Exception:  # what is wrong with plans or variables is told elsewhere; a doctor goes on
        return None
    seeded, gives_back = Settings.from_plans(plans).seed is not None, _GIVES_BACK in os.environ
    totals = [
        training_bytes(patches, workers=number, seeded=seeded, on_cuda=True, gives_back=gives_back).total / GIB
        for number in range(workers + 1)
    ]
    if not on_cpu:
        return TrainingNeed(tuple(totals))
    try:
        steps = steps_on_cpu(
            trainer_class,
            plans,
            configuration=configuration,
            dataset_json=dict(dataset_json),
            gives_back=gives_back,
        )
    except Exception:  # anything may need a tensor's value; a doctor goes on
        return TrainingNeed(tuple(totals))
    found = training_bytes(patches, workers=workers, seeded=seeded, on_cuda=False, gives_back=gives_back, steps=steps)
    return TrainingNeed(tuple(totals), found.total / GIB)


def _grids(
    raw_folder: Path, dataset_json: Mapping, plans: Mapping
) -> list[tuple[Path, tuple[int, ...], tuple[float, ...]]]:
    """First channel of each scan, shape and spacing in the axis order of the plans."""
    ending, grids = dataset_json["file_ending"], []
    if ending not in FORMATS:
        return []
    for folder in IMAGE_FOLDERS:
        for file in sorted((raw_folder / folder).glob(f"*_0000{ending}")):
            if (grid := header_grid(file, reader=plans["image_reader_writer"])) is None:  # told elsewhere
                continue
            zyx = [(grid.size[2 - axis], grid.spacing[2 - axis]) for axis in plans["transpose_forward"]]
            grids.append((file, tuple(edge for edge, _ in zyx), tuple(step for _, step in zyx)))
    return grids


def _processes(variable: str) -> int:
    value = os.environ.get(variable, "")
    return int(value) if value.isdecimal() and int(value) else DEFAULTS[variable]
