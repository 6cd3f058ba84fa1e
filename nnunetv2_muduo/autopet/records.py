"""What became of each case, for restarts and for the manifest."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from nnunetv2_muduo.autopet.case import ConversionJob
from nnunetv2_muduo.autopet_manifest import MANIFEST
from nnunetv2_muduo.datasets.nifti_checks import is_whole_image
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.json_files import table_or_nothing

FORMAT = 1  # raise it when the same files and wishes give another result, so that everything is done anew
RECORDS = "autopet"  # folder of the records of single cases


def record_file(dataset: Path, case: str) -> Path:
    """Where a case's record is."""
    return dataset / RECORDS / f"{case}.json"


def read_records(dataset: Path) -> dict[str, dict[str, Any]]:
    """Case -> what its record says, of finished and announced cases; a damaged record says nothing."""
    files = sorted((dataset / RECORDS).glob("[!.]*.json"))
    return {file.name.removesuffix(".json"): _whole_or_nothing(table_or_nothing(file)) for file in files}


def _whole_or_nothing(record: dict[str, Any]) -> dict[str, Any]:
    """A finished case's record, if all that is read of it is what it should be."""
    is_whole = (
        all(isinstance(record.get(key), list) for key in ("files", "how", "label_values", "notes"))
        and all(isinstance(record.get(key), dict) for key in ("sources", "made_from"))
        and all(isinstance(text, str) for key in ("files", "how", "notes") for text in record[key])
        and all(isinstance(value, int) for value in record["label_values"])
    )
    return record if is_whole else {}


def is_finished(job: ConversionJob, record: Mapping[str, Any] | None) -> bool:
    """Whether a case is there, whole, made from just this and looked at as closely."""
    return (
        bool(record)
        and record is not None
        and record.get("made_from") == dict(job.made_from)
        and (bool(record.get("every_voxel")) or not job.every_voxel)
        and all(is_whole_image(job.dataset / name) for name in job.files)
    )


def rearranged(records: Mapping[str, Mapping[str, Any]], jobs: Mapping[str, ConversionJob]) -> list[str]:
    """Finished cases that would change their folder or their labels, or be no part of the dataset any more."""
    changed = []
    for case, record in records.items():
        before = record.get("made_from")
        if before is None:
            continue
        job = jobs.get(case)
        if job is None or any(before.get(key) != job.made_from[key] for key in ("images", "labels", "target")):
            changed.append(case)
    return changed


def write_manifest(
    dataset: Path,
    records: Mapping[str, Mapping[str, Any]],
    *,
    which: Mapping[str, str],
    patients: Mapping[str, str],
    wishes: Mapping[str, Any],
    skipped: Mapping[str, str],
    left_out: Collection[str],
) -> None:
    """Write autopet.json: each case's set, files, what was done to them, and SHA-256 of what they were made from."""
    told = ("files", "how", "sources", "label_values", "notes")
    content = {
        "format": FORMAT,
        "made_with": dict(wishes),
        "cases": {
            case: {"set": which[case], "patient": patients[case], **{key: record[key] for key in told}}
            for case, record in records.items()
            if case in which and "made_from" in record
        },
        "cannot_be_used": dict(skipped),
        "further_studies_of_labelled_patients": sorted(left_out),
    }
    write_text(dataset / MANIFEST, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def check_is_ours(dataset: Path) -> None:
    """Raise UserError where a dataset is there that this command did not make: its cases would be in no split."""
    foreign = [name for name in ("dataset.json", "imagesTr") if (dataset / name).exists()]
    if foreign and not (dataset / RECORDS).is_dir():
        raise UserError(f"{dataset} is a dataset that was not made here; choose another number.")
