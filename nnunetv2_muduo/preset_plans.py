"""Plans that a preset holds by itself, for datasets that nnU-Net has planned and for those it cannot plan."""

import json
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
from tqdm import tqdm

from nnunetv2_muduo.cases.freshness import PREPROCESSING_KEYS
from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.datasets.scan_header import header_problem
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.json_files import read_json, table_or_nothing
from nnunetv2_muduo.network_size import resize_network
from nnunetv2_muduo.nnunet_files import check_plans, read_dataset_json, read_plans_file, resolved_configuration
from nnunetv2_muduo.nnunet_folders import nnunet_folder
from nnunetv2_muduo.presets import Preset

IMAGE_FOLDERS = ("imagesTr", "imagesUn")
_MEASURED_SCANS = 10  # the median shape only guides the size of patches
_NEEDS_STATISTICS = "CTNormalization"


@dataclass(frozen=True)
class PresetPlans:
    """Plans of a preset for one dataset.

    Attributes:
        plans: as nnU-Net reads them.
        notes: where they come from and what to run next, a sentence each.
    """

    plans: dict[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Measured:
    """Median spacing (mm) and shape (voxels) of a dataset's scans, (z, y, x) as nnU-Net's reader returns them."""

    spacing: Sequence[float]
    shape: Sequence[float]


def plans_of_their_own(preset: Preset, dataset_name: str, *, based_on: str, plans_name: str) -> PresetPlans:
    """Complete plans from a preset with a `plans_name`.

    Configurations are the preset's alone. Where nnU-Net has planned the dataset, its reader, statistics and medians are
    taken over; where it has not (for want of labels, say), reader and medians are found from some of the scans.

    Args:
        preset: holds all of its configurations' entries but `data_identifier` and `median_image_size_in_voxels`.
        dataset_name: such as Dataset221_AutoPET.
        based_on: name of nnU-Net's plans, if there are any.
        plans_name: of the plans; preprocessed data of their own are named after it.

    Raises:
        UserError: when there are neither plans nor scans, or the preset normalises by statistics that only nnU-Net's
            planning finds, or another number of channels.
    """
    source = nnunet_folder("nnUNet_preprocessed") / dataset_name / f"{based_on}.json"
    if source.is_file():
        plans, measured = _taken_over(read_plans_file(source))
        origin = f"reader and statistics from {source.name}, everything else from the preset"
    else:
        plans, measured = _from_scans(dataset_name, preset)
        origin = f"straight from the preset, because nnU-Net has not planned {dataset_name} as {based_on}"
    channels = len(plans["foreground_intensity_properties_per_channel"])
    configurations = {
        name: _configuration(content, f"{plans_name}_{name}", measured, preset.network)
        | _channel_by_channel(content, channels, dataset_name)
        for name, content in preset.configurations.items()
    }
    plans |= {"dataset_name": dataset_name, "plans_name": plans_name, "configurations": configurations}
    plans |= {"transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2]}  # the preset's axes are the reader's
    plans |= {"muduo": dict(preset.muduo), "mae": dict(preset.mae)}
    return PresetPlans(plans, (origin, *_next_steps(dataset_name, plans_name, list(configurations))))


def refuse_mixed_data(folder: Path, file_name: str, plans: Mapping[str, Any]) -> None:
    """Refuse plans that would preprocess differently into a folder that other plans of the dataset use.

    Args:
        folder: of the dataset, in nnUNet_preprocessed.
        file_name: the plans are about to be written to; what it holds now counts as other plans.
        plans: the new ones.

    Raises:
        UserError: naming the folder, the other plans and what differs.
    """
    ours = _preprocessing(plans)
    for path in sorted(folder.glob("*.json")):
        others = read_json(path)
        if not (isinstance(others, dict) and "configurations" in others):
            continue
        check_plans(others, path)
        for identifier, theirs in _preprocessing(others).items():
            different = [key for key in theirs if ours.get(identifier, theirs)[key] != theirs[key]]
            if different:
                raise UserError(
                    f"The new plans preprocess differently ({', '.join(different)}) from {path.name} into the same "
                    f"folder {identifier}; give them a data_identifier of their own, or write {file_name} from a "
                    "preset with a plans_name of its own."
                )


def complete_folder(folder: Path, dataset_name: str) -> None:
    """Put dataset.json where nnU-Net's trainers look for it, as it is now; without labels there is background.

    A copy of before the scans got labels would lead trainings astray. Where nnUNet_raw does not hold the dataset, a
    copy that is there stays.

    Raises:
        UserError: if there is neither, or the raw one is malformed.
    """
    path = folder / "dataset.json"
    raw = os.environ.get("nnUNet_raw")  # it need not be set
    if path.is_file() and not (raw and (Path(raw) / dataset_name / "dataset.json").is_file()):
        return
    content = _raw_dataset_json(dataset_name)
    content.setdefault("labels", {"background": 0})
    content.setdefault("numTraining", 0)
    if table_or_nothing(path) != content:
        write_text(path, json.dumps(content, indent=4) + "\n")


def _configuration(
    content: Mapping[str, Any], data_identifier: str, measured: _Measured, network: Mapping[str, Any]
) -> dict[str, Any]:
    sizes = np.asarray(measured.shape) * np.asarray(measured.spacing) / np.asarray(content["spacing"])
    configuration = deepcopy(dict(content)) | {
        "data_identifier": data_identifier,
        "median_image_size_in_voxels": [float(round(size)) for size in sizes],
    }
    return configuration | (resize_network(configuration, network) if network else {})


def _channel_by_channel(content: Mapping[str, Any], channels: int, dataset_name: str) -> dict[str, list]:
    """The entries that have one value a channel, for as many as the dataset has; where all are alike, so are more."""
    entries = {}
    for key in ("normalization_schemes", "use_mask_for_norm"):
        values = content[key]
        if len(values) != channels and len(set(values)) > 1:
            raise UserError(
                f"The preset normalises {len(values)} channels, each in its own way ({key}), but {dataset_name} has "
                f"{channels}; give a preset with one for each channel."
            )
        entries[key] = list(values) if len(values) == channels else values[:1] * channels
    return entries


def _taken_over(plans: dict[str, Any]) -> tuple[dict[str, Any], _Measured]:
    """What nnU-Net's plans know of the dataset, with axes in the reader's order again."""
    order = plans["transpose_backward"]
    spacing, shape = plans["original_median_spacing_after_transp"], plans["original_median_shape_after_transp"]
    measured = _Measured([spacing[axis] for axis in order], [shape[axis] for axis in order])
    return {**deepcopy(plans), **_medians(measured)}, measured


def _from_scans(dataset_name: str, preset: Preset) -> tuple[dict[str, Any], _Measured]:
    """The same for a dataset that nnU-Net has not planned."""
    schemes = {scheme for content in preset.configurations.values() for scheme in content["normalization_schemes"]}
    if _NEEDS_STATISTICS in schemes:
        raise UserError(
            f"The preset normalises with {_NEEDS_STATISTICS}, whose statistics nnU-Net finds in labelled cases; run "
            f"`nnUNetv2_plan_and_preprocess -d {int(dataset_name[7:10])} -c 3d_fullres` first."
        )
    raw, dataset_json = nnunet_folder("nnUNet_raw") / dataset_name, _raw_dataset_json(dataset_name)
    scans = [
        files
        for folder in IMAGE_FOLDERS
        if (raw / folder).is_dir()
        for files in find_scans(raw / folder, dataset_json["file_ending"])[0].values()
    ]
    if not scans:
        raise UserError(
            f"{dataset_name} has no scan to plan for: put scans into {raw / 'imagesUn'} as "
            f"{{case}}_0000{dataset_json['file_ending']} and so on."
        )
    example = str(scans[0][0])
    reader = determine_reader_writer_from_dataset_json(dataset_json, example, verbose=False)
    measured = _measure(scans, reader())
    plans = {
        "image_reader_writer": reader.__name__,
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        # nnU-Net looks every channel up, even where the normalisation does not need it
        "foreground_intensity_properties_per_channel": {channel: {} for channel in dataset_json["channel_names"]},
        **_medians(measured),
    }
    return plans, measured


def _measure(scans: Sequence[Sequence[Path]], reader: Any) -> _Measured:
    spacings, shapes = [], []
    evenly = np.linspace(0, len(scans) - 1, min(len(scans), _MEASURED_SCANS)).round().astype(int)
    for index in tqdm(evenly, desc="Measuring scans"):
        if header_problem(scans[index][0]):
            continue  # preprocessing tells of it by name
        try:
            image, properties = reader.read_images((str(scans[index][0]),))
        except (RuntimeError, OSError, ValueError):
            continue
        spacings.append(properties["spacing"])
        shapes.append(image.shape[1:])
    if not shapes:
        raise UserError(f"None of the scans looked at can be read, {scans[0][0]} for example.")
    return _Measured([float(s) for s in np.median(spacings, 0)], [float(s) for s in np.median(shapes, 0)])


def _medians(measured: _Measured) -> dict[str, list[float]]:
    return {
        "original_median_spacing_after_transp": list(measured.spacing),
        "original_median_shape_after_transp": list(measured.shape),
    }


def _raw_dataset_json(dataset_name: str) -> dict[str, Any]:
    path = nnunet_folder("nnUNet_raw") / dataset_name / "dataset.json"
    content = read_dataset_json(path)
    for key in ("channel_names", "file_ending"):
        if key not in content:
            raise UserError(f'{path} lacks "{key}"; a dataset without labels needs "channel_names" and "file_ending".')
    return content


def _preprocessing(plans: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Data identifier -> everything that shapes the data in that folder."""
    resolved = [resolved_configuration(plans, name) for name in plans["configurations"]]
    return {
        configuration["data_identifier"]: {key: configuration.get(key) for key in PREPROCESSING_KEYS}
        for configuration in resolved
        if "data_identifier" in configuration
    }


def _next_steps(dataset_name: str, plans_name: str, configurations: Sequence[str]) -> list[str]:
    """What to run next, as far as the dataset's folders tell."""
    raw, number = Path(os.environ.get("nnUNet_raw", "")) / dataset_name, int(dataset_name[7:10])  # it need not be set
    steps = []
    if (raw / "labelsTr").is_dir():
        command = f"nnUNetv2_preprocess -d {number} -plans_name {plans_name} -c {' '.join(configurations)} -np 8"
        steps.append(f"labelled cases are preprocessed by: {command}")
        if not (nnunet_folder("nnUNet_preprocessed") / dataset_name / "dataset_fingerprint.json").is_file():
            steps.append(f"stock trainers copy the dataset's fingerprint: nnUNetv2_extract_fingerprint -d {number}")
    if (raw / "imagesUn").is_dir():
        steps.append(f"unlabelled scans are preprocessed by: muduo preprocess-unlabelled -d {number} -p {plans_name}")
    return steps
