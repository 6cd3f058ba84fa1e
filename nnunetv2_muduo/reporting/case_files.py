"""Where the images, the reference and the prediction of a validation case lie, and what is in them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.cases.channels import channel_names, modality_of_channel
from nnunetv2_muduo.cases.training_files import ListedFiles, listed_files
from nnunetv2_muduo.datasets.scan_header import tells_orientation
from nnunetv2_muduo.datasets.scan_io import check_same_grid, read_image
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.label_maps import read_labels
from nnunetv2_muduo.reporting.training import Training
from nnunetv2_muduo.reporting.validation import CaseScore

_MOST_CHANNELS = 2  # side by side


@dataclass(frozen=True)
class LoadedCase:
    """A case as radiologists look at it: all [Z, Y, X], z upwards, y to the back, x to the left.

    Attributes:
        name: of the case.
        images: name of the channel -> values, CT (HU) first, then PET (SUV).
        modalities: name of the channel -> "CT", "PET" or None.
        reference, prediction: integer label maps.
        spacing_in_mm: (z, y, x).
        oriented: whether it is known how the patient lies.
    """

    name: str
    images: dict[str, np.ndarray]
    modalities: dict[str, str | None]
    reference: np.ndarray
    prediction: np.ndarray
    spacing_in_mm: tuple[float, ...]
    oriented: bool


def load_case(training: Training, case: CaseScore) -> LoadedCase:
    """Read a case of a training's validation.

    Raises:
        UserError: naming what is not at hand, and where it was looked for.
    """
    task = training.task
    if task is None:
        raise UserError("The dataset.json names no labels.")
    raw = _raw_folder(training)
    images, label = _raw_files(raw, training, case)
    also = {task.ignore_label} if task.ignore_label is not None else set()
    prediction, grid = read_labels(_prediction(training, case), known=task.known_labels)
    reference, other = read_labels(label, known=task.known_labels | also)
    check_same_grid(other, grid, names=(label, case.prediction.name))
    turn = Turn.of(grid.GetDirection(), "LPS")
    shown: dict[str, np.ndarray] = {}
    modalities = {}
    for name, file in _chosen_channels(training, images).items():
        image = read_image(file)
        check_same_grid(image, grid, names=(file, case.prediction.name))
        shown[name] = turn.there(sitk.GetArrayFromImage(image))
        modalities[name] = modality_of_channel(name)
    # what read_labels returns is a view that dies with its image
    reference, prediction = (turn.there(labels.copy()) for labels in (reference, prediction))
    spacing = turn.spacing(grid.GetSpacing()[::-1])
    return LoadedCase(case.name, shown, modalities, reference, prediction, spacing, tells_orientation(label))


def _prediction(training: Training, case: CaseScore) -> Path:
    """In the fold's own folder, wherever that has been moved to since."""
    return training.folder / "validation" / case.prediction.name


def _raw_folder(training: Training) -> Path:
    root = os.environ.get("nnUNet_raw")
    if not root:
        raise UserError(
            "The environment variable nnUNet_raw is not set, so the scans are not at hand; set it and write the report "
            "again."
        )
    folder = Path(root) / training.dataset
    if not folder.is_dir():
        raise UserError(f"There is no dataset {folder}; bring it there, or set nnUNet_raw, and write the report again.")
    return folder


def _raw_files(raw: Path, training: Training, case: CaseScore) -> tuple[tuple[Path, ...], Path]:
    """Image files, a channel each, and the label map; datasets may list both in dataset.json."""
    ending = str(training.dataset_json.get("file_ending", ".nii.gz"))
    if (listed := listed_files(raw, training.dataset_json)) is not None:
        images, label = listed.get(case.name, ListedFiles((), Path()))
    else:
        number = len(channel_names(training.dataset_json))
        images = tuple(raw / "imagesTr" / f"{case.name}_{channel:04d}{ending}" for channel in range(number))
        label = raw / "labelsTr" / f"{case.name}{ending}"
    missing = [file for file in (*images, label) if not file.is_file()]
    if missing or not images:
        lacking = missing[0] if missing else f"any image of {case.name} in {raw}"
        raise UserError(f"{lacking} is missing, so {case.name} cannot be shown; bring it there and write it again.")
    return images, label


def _chosen_channels(training: Training, images: Sequence[Path]) -> dict[str, Path]:
    """CT and PET; where no channel is called so, the first two."""
    names = channel_names(training.dataset_json)
    order = {"CT": 0, "PET": 1, None: 2}
    ranked = sorted(range(len(names)), key=lambda channel: (order[modality_of_channel(names[channel])], channel))
    return {names[channel]: images[channel] for channel in ranked[:_MOST_CHANNELS]}
