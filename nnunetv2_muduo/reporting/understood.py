"""What a report can use of a checkpoint and of tables that anybody may have written; the rest becomes a note."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import check_dataset_json, check_plans

_TOO_MUCH = 1e300  # whole numbers beyond are no floating ones
_TIMES = ("epoch_start_timestamps", "epoch_end_timestamps")
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "init_args": Mapping,
    "logging": Mapping,
    "network_weights": Mapping,
    "current_epoch": int,
    "trainer_name": str,
}


def understood_checkpoint(content: Mapping[str, Any], name: str, notes: list[str]) -> dict[str, Any]:
    """The entries of a checkpoint that are what nnU-Net writes; a note for each that is not.

    Args:
        content: of the checkpoint.
        name: of its file.
        notes: gets the sentences.
    """
    known = {key: content[key] for key in _KINDS if content.get(key) is not None}
    bad = [key for key, value in known.items() if not isinstance(value, _KINDS[key])]
    notes += [f"{name} holds a {key} that cannot be understood." for key in bad]
    kept = {key: value for key, value in known.items() if key not in bad}
    arguments = dict(kept.get("init_args", {}))
    arguments["plans"] = understood_plans(arguments.get("plans"), f"{name} (plans)", notes)
    arguments["dataset_json"] = understood_dataset(arguments.get("dataset_json"), f"{name} (dataset_json)", notes)
    return kept | {"init_args": arguments, "logging": _curves(kept.get("logging", {}))}


def understood_plans(plans: Any, name: str, notes: list[str]) -> dict[str, Any]:
    """The plans, or nothing and a note."""
    return _checked(plans, check_plans, name, notes)


def understood_dataset(dataset_json: Any, name: str, notes: list[str]) -> dict[str, Any]:
    """The dataset.json, or nothing and a note."""
    return _checked(dataset_json, check_dataset_json, name, notes)


def _checked(content: Any, check: Any, name: str, notes: list[str]) -> dict[str, Any]:
    try:
        if not isinstance(content, Mapping | None):
            raise UserError(f"{name} is no table.")
        if not content:
            return {}
        check(content, name)
    except UserError as error:
        notes.append(str(error))
        return {}
    return dict(content)


def _curves(logging: Mapping[Any, Any]) -> dict[str, list]:
    """Key -> values of the epochs; times are numbers, so that durations can be told."""
    curves = {str(key): list(values) for key, values in logging.items() if isinstance(values, Sequence)}
    return curves | {key: [_number(value) for value in curves[key]] for key in _TIMES if key in curves}


def _number(value: Any) -> float:
    is_number = isinstance(value, int | float | np.integer | np.floating)
    return float(value) if is_number and abs(value) < _TOO_MUCH else float("nan")
