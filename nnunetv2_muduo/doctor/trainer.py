"""Does nnU-Net find our trainers?"""

import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, cast

from nnunetv2_muduo.doctor.check import Check, Mark, fail, ok
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.trainer_folder import trainer_folder

if TYPE_CHECKING:
    from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer

REMEDY = 'export nnUNet_extTrainer="$(muduo trainers)"'


def semi_supervised(name: str) -> "type[SemiSupervisedTrainer]":
    """A class, by its name in `trainer_names.SEMI_SUPERVISED`."""
    return cast("type[SemiSupervisedTrainer]", getattr(import_module(f"nnunetv2_muduo.trainers.{name}"), name))


def check_trainer(name: str) -> list[Check]:
    """The environment variable nnUNet_extTrainer, then nnU-Net's own look-up of a trainer."""
    variable = check_variable(os.environ.get("nnUNet_extTrainer"))
    return [variable] if variable.mark is Mark.FAIL else [variable, check_look_up(name)]


def check_variable(value: str | None) -> Check:
    """Whether nnUNet_extTrainer, folders separated as in PATH, names the folder of our trainers."""
    if not value:
        return fail("nnUNet_extTrainer", "not set", REMEDY)
    try:
        ours = trainer_folder().resolve()
    except UserError as error:
        return fail("nnUNet_extTrainer", str(error), "pip install nnunetv2-muduo")
    if ours not in [Path(part).resolve() for part in value.split(os.pathsep) if part.strip()]:
        return fail("nnUNet_extTrainer", f"{value} does not name {ours}", REMEDY)
    return ok("nnUNet_extTrainer", value)


def check_look_up(name: str, look_up: Callable[[str], type] | None = None) -> Check:
    """Whether nnU-Net's own search finds the class `name` (`look_up`: another search, for tests)."""
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():  # nnU-Net tells about its search at length,
            warnings.simplefilter("ignore")  # and what it imports warns of what is deprecated in torch
            found = (look_up or _nnunet_look_up)(name)
    except Exception as error:  # the search imports every file of every folder
        reason = (str(error).splitlines() or [type(error).__name__])[0].split(" in nnunetv2.")[0]
        return fail(f"-tr {name}", f"not found: {reason}", f"install the package again, then {REMEDY}")
    return ok(f"-tr {name}", f"found as {found.__module__}.{found.__qualname__}")


def _nnunet_look_up(name: str) -> type:
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    return recursive_find_trainer_class_by_name(name)
