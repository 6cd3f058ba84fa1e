"""Which versions are installed."""

import platform

from nnunetv2_muduo.package_versions import PACKAGES, installed_version, installed_versions


def test_what_is_not_installed_is_said_to_be_so():
    assert installed_version("no-such-package-anywhere") is None


def test_python_and_all_packages_are_told():
    told = installed_versions()
    assert told["python"] == platform.python_version()
    assert set(PACKAGES) < set(told)
    assert told["nnunetv2"][0].isdecimal()
