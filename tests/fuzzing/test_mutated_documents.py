"""Whatever entry of a JSON file is something else, its reader tells so in a sentence with the file's name, or copes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import evaluated_folders
import planned_dataset
import pytest
import trained_folders
from harmonised_records import RECORD
from mutated_documents import mutated_documents

from nnunetv2_muduo import autopet_manifest
from nnunetv2_muduo.autopet import records as autopet_records
from nnunetv2_muduo.autopet.organ_maps import organ_labels
from nnunetv2_muduo.case_installing import announced_files, check_place_is_free
from nnunetv2_muduo.cases.freshness import preprocessing_fingerprint
from nnunetv2_muduo.datasets.tiff_spacing import tiff_spacing
from nnunetv2_muduo.doctor.dataset import check_channels, check_labels
from nnunetv2_muduo.doctor.intensities import check_intensities
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.task import task_of
from nnunetv2_muduo.finetuning.starting_point import start_from_config
from nnunetv2_muduo.harmonising.dataset import labels_from
from nnunetv2_muduo.harmonising.record import read_record, read_records
from nnunetv2_muduo.harmonising.suv_table import read_suv_table
from nnunetv2_muduo.interactive.click_record import ClickRecord
from nnunetv2_muduo.interactive.prompts import read_prompts
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json, read_plans_file, read_splits
from nnunetv2_muduo.nnunet_folders import check_configuration
from nnunetv2_muduo.plain_configuration import check_preparation
from nnunetv2_muduo.presets import load_preset
from nnunetv2_muduo.reporting.evaluations import read_evaluations
from nnunetv2_muduo.reporting.training import read_training
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teacher_cache.case import CachedCase, is_cached
from nnunetv2_muduo.teacher_cache.state import state_of


@dataclass(frozen=True)
class Reader:
    """A JSON file and who reads it.

    Attributes:
        file: its name, with folders.
        document: what it holds.
        read: all that is asked of it, given its path.
        more: further files, by name.
        copes: whether nothing in it is refused.
    """

    file: str
    document: Any
    read: Callable[[Path], object]
    more: dict[str, str] | None = None
    copes: bool = False


def _of_dataset(path: Path) -> None:
    content = read_dataset_json(path, needs=(*OF_SCANS_AND_LABELS, "numTraining"))
    check_channels(content, Settings())
    check_labels(content)
    json.dumps(content)


def _task(path: Path) -> None:
    task_of(read_dataset_json(path, needs=OF_SCANS_AND_LABELS))


def _plans(path: Path) -> None:
    plans = read_plans_file(path)
    try:
        Settings.from_plans(plans)
        check_preparation(plans, "3d_fullres")
        check_configuration(plans, "3d_small_batch")
        preprocessing_fingerprint(plans, "3d_fullres", channels=(0, 1))
    except UserError as error:  # of what is given the content alone; it names the plans or the setting
        if "plans" in str(error) or "etting" in str(error):
            raise UserError(f"{path}: {error}") from error
        raise


def _harmonised_case(path: Path) -> None:
    read_record(path.parents[1], path.stem)


def _autopet_case(path: Path) -> None:
    found = autopet_records.read_records(path.parents[1])
    autopet_records.rearranged(found, {})


def _manifest(path: Path) -> None:
    autopet_manifest.sets_told(path.parent)
    autopet_manifest.patients_told(path.parent)


def _announced(path: Path) -> None:
    announced_files(path)
    check_place_is_free(path.parent, ["imagesTr/b_0000.nii.gz"], record=path, remedy="move it away")


def _cached(path: Path) -> None:
    assert not is_cached(path.parent, "another")
    CachedCase(path.parent)
    state_of(path.parents[1], ["case"], scans_folder=path.parent, settings=Settings(), patch_size=(8, 8, 8))


def _clicks(path: Path) -> None:
    ClickRecord(path.parent, settings=CLICKS, clicks=[1], stamps={})


def _evaluation(path: Path) -> None:
    read_evaluations([path.parent])


def _training(path: Path) -> None:
    read_training(path.parent, "name")


def _training_below(path: Path) -> None:
    read_training(path.parent / "fold_0", "name")


def _training_above(path: Path) -> None:
    read_training(path.parents[1], "name")


CLICKS = {"dataset": "Dataset021_Tiny", "clicks": [1], "teacher": {"file": "a.pth"}}
LOG = {"model/fold_0/training_log_2026_1_2_03_00_00.txt": ""}
ALL_PLANS = planned_dataset.unet_plans(features=2)
SOME = {name: ALL_PLANS["configurations"][name] for name in ("3d_fullres", "3d_small_batch")}
PLANS = ALL_PLANS | {"configurations": SOME, "muduo": {"points": 5}}
SUMMARY = trained_folders.summary({"a": {"liver": 0.8, "spleen": 0.6, "lesion": 0.4}})
EVALUATED = SUMMARY | {
    "muduo": {
        "method": "one",
        "organs": {"liver": "1", "spleen": "2", "lesion": "3"},
        "missed": "diagonal",
        "standard_deviation": {"1": {"Dice": 0.1}},
    }
}
DIFFERENCE = {"method": "one", "baseline": "one", "metric": "Dice", "organ": "mean"}
DIFFERENCES = {"differences": [{**DIFFERENCE, "mean": 0.1, "low": None, "high": 0.2, "cases": 3}]}
AUTOPET_CASE = {
    "files": ["imagesTr/a_0000.nii.gz"],
    "how": ["copied"],
    "label_values": [0, 1],
    "notes": ["note"],
    "sources": {"a": "0"},
    "made_from": {"images": "a", "labels": "b", "target": "c"},
}
CACHED = {"fingerprint": "f", "centres": [[1, 2, 3]], "arrays": ["a"], "made_from": {"source": [1]}}
NUMBERS = {
    "mean": 1.0,
    "median": 1.0,
    "std": 1.0,
    "min": 0.0,
    "max": 5.0,
    "percentile_00_5": 0.0,
    "percentile_99_5": 4.0,
}
FINGERPRINT = {"foreground_intensity_properties_per_channel": {"0": NUMBERS, "1": NUMBERS}}
NETWORK = {
    "architecture": "ClickUNet",
    "config": {"cube_size": 16, "features_per_stage": [2, 4], "strides": [2, 2], "convs_per_stage": [1, 1]}
    | {"convs_per_decoder_stage": [1], "head_channels": 2},
}
MARKUP = {
    "type": "Fiducial",
    "coordinateSystem": "LPS",
    "controlPoints": [{"label": "a", "position": [1.0, 2.0, 3.0], "positionStatus": "defined"}],
}

READERS = {
    "dataset.json": Reader("dataset.json", planned_dataset.DATASET_JSON, _of_dataset),
    "dataset.json for an evaluation": Reader("dataset.json", evaluated_folders.DATASET, _task),
    "splits_final.json": Reader("splits_final.json", [{"train": ["a", "b"], "val": ["c"]}], read_splits),
    "preset": Reader("preset.json", {"description": "a", "muduo": {"points": 5}}, lambda path: load_preset(str(path))),
    "prompts": Reader(
        "p.json", {"space": "voxel", "targets": [{"name": "liver", "points": [[1, 2, 3, 0]]}]}, read_prompts
    ),
    "markups": Reader("p.mrk.json", {"markups": [MARKUP]}, read_prompts),
    "harmonised.json": Reader("harmonised.json", {"cases": {"a": RECORD.to_dict()}}, read_records),
    "harmonised case": Reader("harmonised/a.json", RECORD.to_dict(), _harmonised_case, copes=True),
    "autopet case": Reader("autopet/a.json", AUTOPET_CASE, _autopet_case, copes=True),
    "autopet.json": Reader(
        "autopet.json", {"cases": {"a": {"set": "labelled", "patient": "p"}}}, _manifest, copes=True
    ),
    "announced files": Reader("a.json", {"unfinished": ["imagesTr/a_0000.nii.gz"]}, _announced, copes=True),
    "organ names": Reader("organs.json", {"liver": 1, "spleen": 2}, lambda path: organ_labels(path.parent, path)),
    "labels": Reader("labels.json", {"labels": {"background": 0, "lesion": 1}}, labels_from),
    "SUV table": Reader("suv.json", {"one": {"injected_dose_mbq": 350, "weight_kg": 70, "decay_s": 1}}, read_suv_table),
    "spacing of a TIFF": Reader("a.json", {"spacing": [3, 2, 2]}, lambda path: tiff_spacing(path.with_suffix(".tif"))),
    "clicks.json": Reader("clicks.json", CLICKS, _clicks),
    "network": Reader("network.json", NETWORK, lambda path: start_from_config(path, seed=0)),
    "summary.json": Reader("evaluated/summary.json", EVALUATED, _evaluation),
    "methods.json": Reader(
        "evaluated/methods.json",
        {"methods": {"one": "."}},
        _evaluation,
        {"evaluated/summary.json": json.dumps(EVALUATED)},
    ),
    "differences.json": Reader(
        "evaluated/differences.json", DIFFERENCES, _evaluation, {"evaluated/summary.json": json.dumps(EVALUATED)}
    ),
    "cached case": Reader("case/cache.json", CACHED, _cached),
    "fingerprint": Reader(
        "Dataset021_Tiny/dataset_fingerprint.json",
        FINGERPRINT,
        lambda path: check_intensities(
            path.parent, planned_dataset.DATASET_JSON, Settings(), plans_identifier="nnUNetPlans"
        ),
        copes=True,
    ),
    "debug.json": Reader("model/fold_0/debug.json", {"num_epochs": "4", "device": "cpu"}, _training, LOG, copes=True),
    "plans.json": Reader("model/plans.json", PLANS, _training_below, LOG, copes=True),
    "summary.json of nnU-Net": Reader(
        "model/fold_0/validation/summary.json",
        SUMMARY,
        _training_above,
        {**LOG, "model/dataset.json": json.dumps(evaluated_folders.DATASET)},
        copes=True,
    ),
    "plans": Reader("nnUNetPlans.json", PLANS, _plans),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_entry_that_is_something_else_ends_in_a_sentence_or_in_none(tmp_path: Path, reader: Reader):
    path = tmp_path / reader.file
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, text in (reader.more or {}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    path.write_text(json.dumps(reader.document))
    reader.read(path)  # the document itself is one that is read
    wrong, refused = [], 0
    for how, text in mutated_documents(reader.document):
        path.write_text(text)
        try:
            reader.read(path)
        except UserError as error:
            refused += 1
            if not any(part in str(error) for part in (path.name, path.parent.name)):
                wrong.append(f"{how}: names no file: {error}")
        except Exception as error:  # a claim about all of them
            wrong.append(f"{how}: {type(error).__name__}: {error}"[:300])
    assert wrong == []
    assert refused or reader.copes
