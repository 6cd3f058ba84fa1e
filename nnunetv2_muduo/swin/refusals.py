"""What a SwinUNETR cannot be trained on is refused before anything is written, in one sentence each."""

import json
from collections.abc import Sequence

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.plain_configuration import plain_3d_configuration
from nnunetv2_muduo.swin_sizes import PATCH_MULTIPLE, fits, fitting_patches


def refuse_unsupported(trainer_name: str, plans: dict, configuration: str) -> None:
    """Check a configuration before a SwinUNETR is trained on it.

    Raises:
        UnsupportedError: for 2d configurations and cascades.
        UserError: if the plans have no such configuration, or a patch that cannot be halved five times.
    """
    manager = plain_3d_configuration(trainer_name, plans, configuration, because="its network is 3d")
    if not fits(manager.patch_size):
        raise UserError(_other_patch(trainer_name, plans, configuration, manager.patch_size))


def _other_patch(trainer_name: str, plans: dict, configuration: str, patch_size: Sequence[int]) -> str:
    fitting = fitting_patches(patch_size)
    preset = json.dumps({"configurations": {configuration: {"patch_size": fitting[0]}}})
    name = plans["plans_name"]
    return (
        f"{trainer_name} needs patches whose edges are multiples of {PATCH_MULTIPLE} voxels, one of them at least "
        f"{2 * PATCH_MULTIPLE}, but those of '{configuration}' in {name} are {_shown(patch_size)}; "
        f"{' or '.join(map(_shown, fitting))} would do. Write such plans with: "
        f"echo '{preset}' > patch.json && "
        f"muduo plan -d {int(plans['dataset_name'][7:10])} -c {configuration} -p {name} "
        f"--preset patch.json -o {name}Swin (and give -p {name}Swin); the preprocessed data stay as they are."
    )


def _shown(patch_size: Sequence[int]) -> str:
    return " x ".join(map(str, patch_size))
