"""Are nnU-Net's three folders set, there, and writable?"""

import os
from pathlib import Path

from nnunetv2_muduo.doctor.check import Check, fail, ok
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES


def check_folders() -> list[Check]:
    """One check for each of nnU-Net's environment variables."""
    return [check_folder(variable, os.environ.get(variable)) for variable in FOLDER_VARIABLES]


def check_folder(variable: str, value: str | None) -> Check:
    """A folder named by an environment variable; nnUNet_raw need not be writable, as nobody writes there."""
    if not value:
        return fail(variable, "not set", f"export {variable}=/path/to/{variable} (and add it to your shell's profile)")
    folder = Path(value)
    if not folder.is_dir():
        return fail(variable, f"{folder} does not exist", f"mkdir -p '{folder}', or correct the variable")
    if variable != "nnUNet_raw" and not os.access(folder, os.W_OK | os.X_OK):
        return fail(variable, f"{folder} is not writable", "change its permissions, or name another folder")
    return ok(variable, str(folder))
