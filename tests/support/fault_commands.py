"""A command of `muduo` in the folder of a scenario."""

import os
from pathlib import Path

from nnunetv2_muduo import cli
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES


def muduo(folder: Path, *arguments: str) -> int:
    """A command of ours with nnU-Net's folders and the weights below a folder."""
    for variable in FOLDER_VARIABLES:
        os.environ[variable] = str(folder / variable)
    os.environ["MUDUO_WEIGHTS"] = str(folder / "weights")
    return cli.main(arguments)
