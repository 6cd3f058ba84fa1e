"""nnU-Net's folders, datasets and plans, found with a clear sentence where something is missing."""

import os
from pathlib import Path

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import read_plans_file
from nnunetv2_muduo.presets import planning_command

FOLDER_VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
DEFAULT_CONFIGURATION, DEFAULT_PLANS = "3d_fullres", "nnUNetPlans"  # what nnU-Net takes where nobody says


def nnunet_folder(variable: str) -> Path:
    """The folder an environment variable of nnU-Net's names.

    Raises:
        UserError: naming the variable when it is not set.
    """
    value = os.environ.get(variable)
    if not value:
        raise UserError(
            f"The environment variable {variable} is not set; set it as nnU-Net's installation guide says, for example "
            f"`export {variable}=/data/{variable}`."
        )
    return Path(value)


def find_dataset(name_or_id: str) -> str:
    """Name of a dataset, such as Dataset221_AutoPET, from its name or its number.

    Raises:
        UserError: if it is neither, if there is none, or if several share the number.
    """
    known = sorted({path.name for folder in _set_folders() for path in folder.glob("Dataset[0-9][0-9][0-9]_*")})
    if name_or_id in known:
        return name_or_id
    matching = [name for name in known if name_or_id.isdecimal() and int(name[7:10]) == int(name_or_id)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UserError(f"Dataset number {name_or_id} belongs to several datasets ({', '.join(matching)}); name one.")
    raise UserError(
        f"There is no dataset '{name_or_id}' in nnUNet_raw, nnUNet_preprocessed or nnUNet_results; "
        f"there are: {', '.join(known) or 'none'}."
    )


def _set_folders() -> list[Path]:
    """The folders where datasets can be; at least one must be set."""
    if not any(os.environ.get(variable) for variable in FOLDER_VARIABLES):
        nnunet_folder(FOLDER_VARIABLES[0])
    return [Path(os.environ[variable]) for variable in FOLDER_VARIABLES if os.environ.get(variable)]


def read_plans(preprocessed_folder: Path, plans_identifier: str) -> dict:
    """The plans of a dataset.

    Args:
        preprocessed_folder: of the dataset, in nnUNet_preprocessed.
        plans_identifier: such as nnUNetPlans.

    Raises:
        UserError: naming the command that makes them when there are none.
    """
    path = preprocessed_folder / f"{plans_identifier}.json"
    if not path.is_file():
        present = ", ".join(sorted(file.stem for file in preprocessed_folder.glob("*Plans*.json"))) or "none"
        command = planning_command(int(preprocessed_folder.name[7:10]), plans_identifier)
        raise UserError(f"There are no plans {path} (present: {present}); make them with `{command}`.")
    return read_plans_file(path)


def check_configuration(plans: dict, configuration: str) -> None:
    """Raise UserError when the plans have no such configuration, naming those they have."""
    if not isinstance(configuration, str) or configuration not in plans["configurations"]:
        known = ", ".join(plans["configurations"])
        raise UserError(f"The plans have no configuration '{configuration}'; use one of: {known}.")
