"""Is the software there, in versions that fit each other?"""

import platform
import sys
from importlib import import_module

from nnunetv2_muduo.doctor.check import Check, fail, ok
from nnunetv2_muduo.package_versions import installed_version

OLDEST_PYTHON = (3, 10)
OLDEST_TORCH = (2, 6)
REFUSED_TORCH = (2, 9)
SUPPORTED_NNUNET = (2, 8)
REINSTALL_TORCH = "install both in one go, from one place: pip install --force-reinstall torch torchvision"


def check_versions() -> list[Check]:
    """Python, nnU-Net, torch, and torchvision together with torch."""
    return [
        check_python(sys.version_info[:2]),
        check_nnunet(installed_version("nnunetv2")),
        check_torch(installed_version("torch")),
        check_torchvision(),
    ]


def check_python(found: tuple[int, ...]) -> Check:
    """Python (major, minor) against what nnU-Net needs."""
    if found < OLDEST_PYTHON:
        return fail("Python", _dotted(found), f"use Python {_dotted(OLDEST_PYTHON)} or newer")
    return ok("Python", platform.python_version())


def check_nnunet(found: str | None) -> Check:
    """nnU-Net's version; its hooks and file formats change between minor versions."""
    wanted = _dotted(SUPPORTED_NNUNET)
    remedy = f'pip install "nnunetv2=={wanted}.*"'
    if found is None:
        return fail("nnU-Net", "not installed", remedy)
    if _numbers(found) != SUPPORTED_NNUNET:
        return fail("nnU-Net", f"{found}, but this version of nnunetv2_muduo fits {wanted}", remedy)
    return ok("nnU-Net", found)


def check_torch(found: str | None) -> Check:
    """torch's version: 2.6 made loading of weights safe, 2.9 is refused by nnU-Net (slow 3D convolutions)."""
    if found is None:
        return fail("torch", "not installed", "pip install torch torchvision")
    if _numbers(found) < OLDEST_TORCH or _numbers(found) == REFUSED_TORCH:
        remedy = f'pip install "torch>={_dotted(OLDEST_TORCH)},!={_dotted(REFUSED_TORCH)}.*" torchvision'
        return fail("torch", f"{found} is not supported", remedy)
    return ok("torch", found)


def check_torchvision() -> Check:
    """Whether torchvision's compiled operators work with this torch; nnU-Net needs them indirectly.

    A CPU build of one next to a CUDA build of the other fails with "operator torchvision::nms does not exist".
    """
    found = installed_version("torchvision")
    if found is None:
        return fail("torchvision", "not installed", "pip install torch torchvision")
    try:
        torch, torchvision = import_module("torch"), import_module("torchvision")
        torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([1.0]), 0.5)
    except Exception as error:  # a mismatch shows in many ways
        return fail("torchvision", f"{found} does not work with this torch: {error}", REINSTALL_TORCH)
    return ok("torchvision", f"{torchvision.__version__}, works with torch {torch.__version__}")


def _numbers(text: str) -> tuple[int, int]:
    """Major and minor number of a version such as 2.8.1 or 2.10.0+cpu."""
    major, minor = text.split(".")[:2]
    return int(major), int("".join(filter(str.isdecimal, minor.split("+")[0].split("r")[0])) or 0)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
