"""Which version of a package is installed."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("nnunetv2-muduo", "nnunetv2", "torch", "dynamic-network-architectures")


def installed_version(package: str) -> str | None:
    """Of a distribution, by the name it is installed by; None without one."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def installed_versions() -> dict[str, str]:
    """Of Python and of what decides on a training's result."""
    found = {package: installed_version(package) or "not installed" for package in PACKAGES}
    return {"python": platform.python_version(), **found}
