"""dataset.json of a converted dataset: written last of all, and what others wrote into it stays."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunetv2_muduo.autopet.headers import ENDING
from nnunetv2_muduo.autopet.plan import Plan
from nnunetv2_muduo.autopet.records import RECORDS
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.nnunet_files import read_dataset_json

CHANNELS = {"0": "CT", "1": "PET"}  # nnU-Net chooses the normalisation by these names
NORMALISATION = {
    "CT": "CTNormalization: clipped to the 0.5 and 99.5 percentiles of the foreground, then its mean and deviation",
    "PET": "ZScoreNormalization: mean and deviation of each scan; SUV are neither clipped nor mixed between scans",
}
_NAME = "dataset.json"
_ASIDE = f"{RECORDS}/.{_NAME}"  # where it is while the dataset is not finished; the dot tells it from cases' records


def read_description(dataset: Path) -> dict[str, Any]:
    """What dataset.json says, also that of a run that was stopped; an empty table before the first one.

    Raises:
        UserError: if it is damaged, or lists the dataset's files one by one.
    """
    content: dict[str, Any] = {}
    for path in (dataset / _ASIDE, dataset / _NAME):  # both where another command worked on it in between
        content |= read_dataset_json(path) if path.is_file() else {}
    if "dataset" in content:
        raise UserError(f"{dataset / _NAME} lists its files one by one ('dataset'); cases cannot be added to it.")
    return content


def put_description_aside(dataset: Path) -> None:
    """Until `write_description`, so that nnU-Net takes no notice of the dataset."""
    if (dataset / _NAME).is_file():
        os.replace(dataset / _NAME, dataset / _ASIDE)


def write_description(plan: Plan, before: Mapping[str, Any], *, training: int, overwrite: bool) -> None:
    """Put dataset.json in place.

    Args:
        plan: of the conversion.
        before: of `read_description`: its entries stay, but for those that this command answers for.
        training: how many labelled cases are there.
        overwrite: leave none of the labels that the plan does not have.
    """
    content = {
        "channel_names": CHANNELS,
        "name": plan.dataset.name[len("Dataset000_") :],
        "description": "AutoPET; CT in HU, PET in SUV; made by muduo convert-autopet",
        "reference": "https://doi.org/10.1038/s41597-022-01718-3",
        "normalisation": NORMALISATION,
        **before,
        "labels": _labels(plan.labels, before.get("labels", {}), overwrite=overwrite),
        "numTraining": training,
        "file_ending": ENDING,
    }
    write_text(plan.dataset / _ASIDE, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    os.replace(plan.dataset / _ASIDE, plan.dataset / _NAME)


def _labels(planned: Mapping[str, int], before: Mapping[str, Any], *, overwrite: bool) -> dict[str, Any]:
    """The plan's labels and, where cases of another origin brought further ones, these."""
    return dict(before if not overwrite and planned.items() <= before.items() else planned)
