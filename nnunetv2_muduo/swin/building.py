"""From the name of a size to a network; MONAI is imported here, when it is needed, and nowhere else."""

import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from torch import nn

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.swin_sizes import SIZES

_OLDEST = (1, 5)  # before, the size of the images was an argument
_INSTALL = "pip install 'nnunetv2-muduo[swin]'"


def build_swin(size: str, *, input_channels: int, output_channels: int) -> nn.Module:
    """A SwinUNETR-v2 with random weights, see `SwinUNETRv2`.

    Args:
        size: a key of `SIZES`.
        input_channels, output_channels: of images and logits (or reconstructions).

    Raises:
        UserError: without MONAI, or with one that is too old.
    """
    require_monai()
    network = import_module("nnunetv2_muduo.swin.network").SwinUNETRv2
    return network(SIZES[size], input_channels=input_channels, output_channels=output_channels)


def require_monai() -> None:
    """Raise UserError where MONAI is missing or too old; quick, because MONAI is not imported."""
    if find_spec("monai") is None:
        raise UserError(f"SwinUNETR needs MONAI, which is not installed; install it with: {_INSTALL}")
    try:
        found = version("monai")
    except PackageNotFoundError:  # a weekly build has another name
        return
    numbers = re.match(r"(\d+)\.(\d+)", found)
    if numbers and tuple(map(int, numbers.groups())) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise UserError(f"SwinUNETR needs MONAI {oldest} or newer, not {found}; install it with: {_INSTALL}")
