"""Presets: JSON files that `muduo plan` merges into an nnU-Net plans file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.json_files import read_json

OTHER_PLANNERS = {  # name that nnU-Net gives to plans -> its planner, where it is not the usual one
    "nnUNetResEncUNetMPlans": "nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "nnUNetPlannerResEncXL",
}


@dataclass(frozen=True)
class Preset:
    """What a preset file holds; every entry is optional in the file.

    Attributes:
        description: one sentence for the list of presets.
        plans_name: of plans of their own: then `configurations` is complete and takes the place of the plans' own
            instead of being merged into them, and this is the name they are written under by default.
        muduo: settings for plans["muduo"].
        mae: settings for plans["mae"].
        network: a size for `resize_network`, applied to the chosen configuration.
        configurations: merged into plans["configurations"], table by table.
    """

    description: str = ""
    plans_name: str = ""
    muduo: Mapping[str, Any] = field(default_factory=dict)
    mae: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    configurations: Mapping[str, Any] = field(default_factory=dict)


def load_preset(name_or_path: str) -> Preset:
    """Read a preset that comes with the package, by its name, or a JSON file of the user's own, by its path.

    Raises:
        UserError: when there is no such preset, or the file is no JSON or holds anything but a preset's entries.
    """
    own = Path(name_or_path)
    if own.suffix == ".json":
        return _read(own)
    shipped = preset_paths()
    if name_or_path not in shipped:
        raise UserError(
            f"There is no preset '{name_or_path}'; there are {', '.join(shipped)}, or give the path of a .json file."
        )
    return _read(shipped[name_or_path])


def preset_paths() -> dict[str, Path]:
    """Name -> file of the presets that come with the package, in alphabetical order."""
    folder = Path(str(files("nnunetv2_muduo.plans")))
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def planning_command(dataset_number: int, plans_name: str) -> str:
    """What makes plans of a name: `muduo plan` where they are those of a preset with a `plans_name`, else nnU-Net.

    Plans that nnU-Net gives this name with another planner than its usual one are made with that.
    """
    for preset, path in preset_paths().items():
        if _read(path).plans_name == plans_name:
            return f"muduo plan -d {dataset_number} --preset {preset}"
    planner = f" -pl {OTHER_PLANNERS[plans_name]}" if plans_name in OTHER_PLANNERS else ""
    return f"nnUNetv2_plan_and_preprocess -d {dataset_number}{planner} -c 3d_fullres"


def _read(path: Path) -> Preset:
    content = read_json(path)
    entries = Preset.__dataclass_fields__
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a JSON table with any of {', '.join(entries)}.")
    for key, value in content.items():
        if key not in entries:
            raise UserError(f"{path} has an unknown entry '{key}'; a preset holds any of {', '.join(entries)}.")
        is_text = key in ("description", "plans_name")
        if not isinstance(value, str if is_text else dict):
            raise UserError(f"{path}: '{key}' must be {'a text' if is_text else 'a table'}.")
    return Preset(**content)
