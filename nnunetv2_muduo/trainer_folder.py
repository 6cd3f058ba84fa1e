"""Where the trainers lie that nnU-Net finds with -tr."""

from importlib.util import find_spec
from pathlib import Path

from nnunetv2_muduo.errors import UserError


def trainer_folder() -> Path:
    """Folder of the package nnunetv2_muduo.trainers; of an editable install that is trainers/ in the checkout.

    Raises:
        UserError: if the package is only lying around, not installed.
    """
    spec = find_spec("nnunetv2_muduo.trainers")
    if spec is None or spec.origin is None:
        raise UserError(
            "nnunetv2_muduo is not installed in this Python, so its trainers cannot be found; run "
            "`pip install -e .` in its folder."
        )
    return Path(spec.origin).parent
