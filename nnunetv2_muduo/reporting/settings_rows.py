"""Settings, plan and versions of trainings, side by side."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.reporting.training import Training
from nnunetv2_muduo.settings import Settings

_STOCK = "nnUNetTrainer"
_TOO_MUCH = 1e300  # whole numbers beyond are no floating ones


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        key: its name.
        values: one for each training; "" where it does not apply.
        default: what holds where nothing is set; "" where there is no such thing.
        changed: for each training, whether it differs from the default.
    """

    key: str
    values: tuple[str, ...]
    default: str = ""
    changed: tuple[bool, ...] = ()

    @property
    def noteworthy(self) -> bool:
        """Whether a training differs from the default or from another training."""
        return any(self.changed) or len({value for value in self.values if value}) > 1


def setting_rows(trainings: Sequence[Training]) -> dict[str, list[Row]]:
    """Table of the plans ("muduo", "mae") -> its settings; a table that no training looks at is left out."""
    tables: dict[str, type] = {"muduo": Settings, "mae": MAESettings}
    rows = {}
    for table, known in tables.items():
        uses = [uses_settings(training, table) for training in trainings]
        given = [table_of(training.plans, table) for training in trainings]
        if any(uses):
            defaults = {item.name: item.default for item in fields(known)}
            rows[table] = _rows(defaults, given, uses)
    return rows


def side_by_side(rows: Sequence[Row], names: Sequence[str]) -> tuple[list[str], list[Row]]:
    """(heads of the columns, rows): one column for all trainings where they do not differ at all."""
    if len(names) < 2 or any(len(set(row.values)) > 1 for row in rows):
        return list(names), list(rows)
    return ["all trainings"], [Row(row.key, row.values[:1], row.default, row.changed[:1]) for row in rows]


def plan_rows(trainings: Sequence[Training]) -> list[Row]:
    """What the plans say of patch, spacing, batch and network."""
    described = [_plan_of(training) for training in trainings]
    keys = dict.fromkeys(key for each in described for key in each)
    return [Row(key, tuple(each.get(key, "") for each in described)) for key in keys]


def version_rows(trainings: Sequence[Training]) -> list[Row]:
    """What each training was run with, as far as it was written down: nnU-Net's version by our trainers alone."""
    keys = {
        "nnunetv2-muduo": "muduo_version",
        "nnunetv2": "nnunet_version",
        "torch": "torch_version",
        "cuDNN": "cudnn_version",
        "device": "device",
        "GPU": "gpu_name",
    }
    rows = [Row(name, tuple(_told(t.debug.get(key)) for t in trainings)) for name, key in keys.items()]
    return [row for row in rows if any(row.values)]


def _told(text: str | None) -> str:
    """nnU-Net writes "None" where there is nothing."""
    return "" if text in (None, "None") else str(text)


def table_of(plans: Mapping[str, Any], table: str) -> Mapping[str, Any]:
    """The settings in plans, "muduo" or "mae"; empty where there are none, or no table."""
    settings = plans.get(table)
    return settings if isinstance(settings, Mapping) else {}


def uses_settings(training: Training, table: str) -> bool:
    """Whether a trainer looks at a table of its plans; the size of a SwinUNETR stands with the pretraining's."""
    if not training.plans or training.trainer == _STOCK:
        return False
    return training.is_pretraining or training.is_swin if table == "mae" else not training.is_pretraining


def _rows(defaults: Mapping[str, Any], given: Sequence[Mapping[str, Any]], uses: Sequence[bool]) -> list[Row]:
    rows = []
    for key in dict.fromkeys([*defaults, *(key for table in given for key in table)]):
        default = defaults.get(key)
        values = [table.get(key, default) for table in given]
        changed = tuple(used and _plain(value) != _plain(default) for used, value in zip(uses, values, strict=True))
        shown = tuple(_plain(value) if used else "" for used, value in zip(uses, values, strict=True))
        rows.append(Row(key, shown, _plain(default) if key in defaults else "(unknown)", changed))
    return rows


def _plan_of(training: Training) -> dict[str, str]:
    try:
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        plan = PlansManager(deepcopy(training.plans)).get_configuration(training.configuration)
        network = dict(plan.configuration.get("architecture", {}))
    except Exception:  # nnU-Net fails in many ways on plans that are cut short, and there is nothing to be done then
        return {}
    if training.is_swin:  # whatever network is planned
        size = table_of(training.plans, "mae").get("swin", MAESettings.swin)
        network = {"network_class_name": f"SwinUNETR-v2, {size}"}
    arguments = network.get("arch_kwargs", {})
    described = {
        "patch size (voxels)": plan.configuration.get("patch_size"),
        "spacing (mm)": plan.configuration.get("spacing"),
        "batch size": plan.configuration.get("batch_size"),
        "normalisation": plan.configuration.get("normalization_schemes"),
        "network": str(network.get("network_class_name", "")).rsplit(".", 1)[-1],
        "features per stage": arguments.get("features_per_stage"),
        "parameters": f"{training.parameters:,}" if training.parameters else None,
    }
    return {key: _plain(value) for key, value in described.items() if value not in (None, "")}


def _plain(value: Any) -> str:
    """A value as people write it."""
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return (
            " \N{MULTIPLICATION SIGN} ".join(f"{v:g}" for v in value) if _numbers(value) else ", ".join(map(str, value))
        )
    return json.dumps(value, default=str) if isinstance(value, bool | dict) else str(value)


def _numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and not abs(v) > _TOO_MUCH for v in values)
