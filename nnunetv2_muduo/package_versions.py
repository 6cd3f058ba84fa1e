"""Which version of a package is installed."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("nnunetv2-muduo", "nnunetv2", "torch", "dynamic-network-architectures")


def installed_version(package: str) -> str:
    """Of a distribution, by the name it is installed by; "not installed" without one."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def installed_versions() -> dict[str, str]:
    """Of Python and of what decides on a training's result."""
    return {"python": platform.python_version(), **{package: installed_version(package) for package in PACKAGES}}
