"""The organs of a dataset in nnU-Net's order, which is that of its logged lists and of its summary.json."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.task import Task, task_of


def task_in_order(dataset_json: Mapping[str, Any]) -> Task | None:
    """What the labels mean, sorted by label as nnU-Net sorts them (regions stay as they stand); None without labels."""
    try:
        task = task_of(dataset_json)
    except (UserError, TypeError, ValueError):
        return None
    if any(len(labels) > 1 for labels in task.organs.values()):
        return task
    organs = dict(sorted(task.organs.items(), key=lambda item: item[1]))
    return replace(task, organs=organs)
