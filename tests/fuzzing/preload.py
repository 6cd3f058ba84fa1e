"""Import all that commands import, once: forks share it, and each of them starts at once."""

import importlib
import pkgutil

import nnunetv2_muduo

_LEFT_OUT = ("nnunetv2_muduo.swin.network", "nnunetv2_muduo.demo")  # MONAI; subprocesses


def import_everything() -> None:
    """All modules of the package."""
    for module in pkgutil.walk_packages(nnunetv2_muduo.__path__, "nnunetv2_muduo."):
        if not module.name.startswith(_LEFT_OUT):
            importlib.import_module(module.name)
