"""What `muduo plan` does: settings, and where asked a network of another size, written into an nnU-Net plans file."""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind, write_text
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.network_size import resize_network
from nnunetv2_muduo.nnunet_files import check_plans, is_plain_name
from nnunetv2_muduo.nnunet_folders import check_configuration, find_dataset, nnunet_folder, read_plans
from nnunetv2_muduo.plain_configuration import naming_bad_plans
from nnunetv2_muduo.preset_plans import complete_folder, plans_of_their_own, refuse_mixed_data
from nnunetv2_muduo.presets import Preset, load_preset
from nnunetv2_muduo.setting_rules import shown
from nnunetv2_muduo.settings import Settings, parse_assignment

_TABLES: Mapping[str, type[Settings] | type[MAESettings]] = MappingProxyType({"muduo": Settings, "mae": MAESettings})


@dataclass(frozen=True)
class Change:
    """One entry of the plans that differs from before; None where it did not exist."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        old = "(not set)" if self.before is None else shown(self.before)
        return f"{self.key}: {old} -> {shown(self.after)}"


@dataclass(frozen=True)
class WrittenPlans:
    """The plans file that was written.

    Attributes:
        path: of the file.
        plans_name: what to give nnU-Net's commands with -p.
        settings: in effect from now on.
        changes: what differs from the plans it was made from.
        notes: what else to know of new plans.
    """

    path: Path
    plans_name: str
    settings: Settings
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """The path and one line a change or note, for printing."""
        lines = [f"  {line}" for line in (*self.notes, *self.changes)] or ["  nothing changed"]
        return "\n".join([str(self.path), *lines])


def write_muduo_plans(
    dataset: str | int,
    *,
    configuration: str = "3d_fullres",
    plans_name: str = "nnUNetPlans",
    preset: str | None = None,
    assignments: Iterable[str] = (),
    output_name: str | None = None,
) -> WrittenPlans:
    """Merge a preset and assignments into a dataset's plans, or write the plans that a preset holds by itself.

    Settings that are already there stay unless they are given anew; nnU-Net's own planning of the dataset, run again,
    drops them. Under a new name the plans share the preprocessed data of those they were made from, unless the preset
    has a `plans_name`: such plans are complete, have data of their own and need no planning by nnU-Net beforehand. They
    take no settings of the plans they are based on; those of an earlier call stay where the preset has others, too.

    Args:
        dataset: name, such as Dataset221_AutoPET, or number.
        configuration: the one whose network a preset may resize.
        plans_name: of the plans to read, a file in the dataset's folder of nnUNet_preprocessed.
        preset: name of a preset that comes with the package, or path of a JSON file.
        assignments: "KEY=VALUE" each, applied after the preset; "mae.KEY=VALUE" for the settings of pretraining.
        output_name: of the plans to write; None: those that were read, or the preset's own.

    Raises:
        UserError: when the dataset is not planned, a preset, configuration or setting is unknown or out of range, or
            `output_name` is no name or that of plans which are not ours.
    """
    name = find_dataset(str(dataset))
    folder, chosen = nnunet_folder("nnUNet_preprocessed") / name, load_preset(preset) if preset else Preset()
    if chosen.plans_name:
        with naming_bad_plans({"plans_name": plans_name}, configuration):
            made = plans_of_their_own(chosen, name, based_on=plans_name, plans_name=output_name or chosen.plans_name)
        path = _output_path(folder, output_name or chosen.plans_name, None)
        earlier = read_table(path) if path.is_file() else {}
        before, after = earlier or made.plans, _assigned(_with_settings_of(earlier, made.plans), assignments)
        left = _left_behind(folder / f"{plans_name}.json", after) if path.stem != plans_name else []
        notes = [*made.notes, *_kept_in_spite_of(chosen, earlier, after), *left]
    else:
        before = read_plans(folder, plans_name)
        check_configuration(before, configuration)
        after = _assigned(_merged(before, chosen, configuration), assignments)
        notes = _kept_in_spite_of(chosen, before, after) if preset else []
        path = folder / f"{plans_name}.json"
        if output_name is not None:
            path = _output_path(folder, output_name, plans_name)
            after["plans_name"] = output_name
            notes += _replaced(path, before, after) if output_name != plans_name else []
    check_plans(after, f"The new {path.name}")
    settings, _ = Settings.from_plans(after), MAESettings.from_plans(after)
    if chosen.plans_name or after["configurations"] != before["configurations"]:
        refuse_mixed_data(folder, path.name, after)
    clear_away_left_behind(folder)
    write_text(path, json.dumps(after, indent=4) + "\n")
    if chosen.plans_name:
        complete_folder(folder, name)
    return WrittenPlans(path, path.stem, settings, tuple(_changes(before, after)), tuple(notes))


def _assigned(plans: Mapping[str, Any], assignments: Iterable[str]) -> dict[str, Any]:
    """A copy of the plans with "KEY=VALUE" in plans["muduo"] and "mae.KEY=VALUE" in plans["mae"]."""
    tables = {"muduo": dict(plans.get("muduo", {})), "mae": dict(plans.get("mae", {}))}
    for key, value in map(parse_assignment, assignments):
        table, _, name = key.rpartition(".")
        if table and table != "mae":
            raise UserError(f"'{key}' is no setting; settings of pretraining are written mae.KEY, all others KEY.")
        tables[table or "muduo"][name] = value
    if not tables["mae"]:
        del tables["mae"]
    return {**plans, **tables}


def _merged(plans: Mapping[str, Any], preset: Preset, configuration: str) -> dict[str, Any]:
    """A copy of the plans with a preset in it."""
    _check_tables(plans)
    for name in preset.configurations:
        check_configuration(dict(plans), name)
    merged = _deep_merge(
        plans,
        {"muduo": preset.muduo, "configurations": preset.configurations} | ({"mae": preset.mae} if preset.mae else {}),
    )
    if preset.network:
        with naming_bad_plans(merged, configuration):
            resolved = PlansManager(deepcopy(merged)).get_configuration(configuration).configuration
            merged["configurations"][configuration] |= resize_network(resolved, preset.network)
    return merged


def _check_tables(plans: Mapping[str, Any]) -> None:
    """Raise UserError for anything but tables where settings should be."""
    for table, kind in _TABLES.items():
        if not isinstance(plans.get(table, {}), Mapping):
            kind.from_plans(plans)  # refuses it


def _with_settings_of(earlier: Mapping[str, Any], plans: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of new plans with the settings that earlier ones of this name have."""
    _check_tables(earlier)
    return _deep_merge(plans, {table: earlier[table] for table in _TABLES if table in earlier})


def _kept_in_spite_of(preset: Preset, earlier: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """A sentence for each setting of earlier plans that still stands where the preset has another or none."""
    own = _settings_in({"muduo": preset.muduo, "mae": preset.mae})
    now = _settings_in(after)
    return [
        f"kept from before: {key} is {shown(value)} (the preset has {shown(own[key]) if key in own else 'none'})"
        for key, value in _settings_in(earlier).items()
        if now[key] == value and (key not in own or own[key] != value)
    ]


def _left_behind(source: Path, after: Mapping[str, Any]) -> list[str]:
    """A sentence where the plans that new ones are based on have settings which these have not."""
    others = _other_settings(source, after)
    return [f"not taken over from {source.name}: {', '.join(others)}; give them with --set"] if others else []


def _replaced(path: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """A sentence where plans that are written anew, from others, had settings which were not given again."""
    given, base = _settings_in(after), _settings_in(before)
    gone = [key for key in _other_settings(path, after) if given.get(key) == base.get(key)]
    return [f"gone with the {path.name} before: {', '.join(gone)}; to keep them, give -p {path.stem}"] if gone else []


def _other_settings(path: Path, after: Mapping[str, Any]) -> list[str]:
    """Names of the settings in a plans file, where it is there, that others have not, or with another value."""
    theirs, now = _settings_in(read_table(path) if path.is_file() else {}), _settings_in(after)
    return [key for key, value in theirs.items() if key not in now or now[key] != value]


def _settings_in(plans: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by the names that --set has for them."""
    tables = {"": plans.get("muduo"), "mae.": plans.get("mae")}
    return {
        f"{prefix}{key}": value
        for prefix, table in tables.items()
        if isinstance(table, Mapping)
        for key, value in table.items()
    }


def _deep_merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged entry by entry, everything else is replaced; neither argument is changed."""
    merged = deepcopy(dict(base))
    for key, value in top.items():
        both_tables = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _deep_merge(merged[key], value) if both_tables else deepcopy(value)
    return merged


def _output_path(folder: Path, output_name: str, plans_name: str | None) -> Path:
    """Where new plans go; plans of nnU-Net's own making are not overwritten, unless they are those that were read."""
    if not is_plain_name(output_name) or "__" in output_name:
        raise UserError(f"'{output_name}' cannot name plans: it must be a plain file name without '__'.")
    path = folder / f"{output_name}.json"
    if output_name != plans_name and path.is_file() and "muduo" not in read_table(path):
        raise UserError(f"{path} exists and was not made by muduo plan; choose another name.")
    return path


def _changes(before: Any, after: Any, key: str = "") -> list[Change]:
    """Every differing entry of two nested tables, by its dotted key."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        return [] if before == after else [Change(key, before, after)]
    keys = [*before, *(name for name in after if name not in before)]
    dotted = {name: f"{key}.{name}" if key else name for name in keys}
    # a table that is new is listed entry by entry as well
    return [
        change
        for name in keys
        for change in _changes(
            before.get(name, {} if isinstance(after.get(name), Mapping) else None), after.get(name), dotted[name]
        )
    ]
