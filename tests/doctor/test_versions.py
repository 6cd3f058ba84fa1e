"""`muduo doctor` on software versions: what does not fit together is found and comes with a remedy."""

import subprocess
import sys
from pathlib import Path

import pytest
import torchvision
from doctor_marks import mark_of

from nnunetv2_muduo.doctor.check import Mark
from nnunetv2_muduo.doctor.versions import SUPPORTED_NNUNET, check_nnunet, check_python, check_torch, check_torchvision

ROOT = Path(__file__).resolve().parents[2]


def test_old_python_fails():
    assert mark_of(check_python((3, 9))) is Mark.FAIL
    assert mark_of(check_python((3, 10))) is Mark.OK


@pytest.mark.parametrize("broken", ["nnunetv2", "torchvision"])
def test_the_doctor_works_where_what_it_examines_cannot_be_imported(broken: str):
    program = (
        f"import sys; sys.modules[{broken!r}] = None\nfrom nnunetv2_muduo.cli import main\nsys.exit(main(['doctor']))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Traceback" not in ended.stderr
    assert "nnU-Net" in ended.stdout
    assert "FAIL" in ended.stdout


def test_supported_nnunet_is_that_of_the_package():
    major, minor = SUPPORTED_NNUNET
    assert f'"nnunetv2>={major}.{minor},<{major}.{minor + 1}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("version", "mark"), [("2.8.1", Mark.OK), ("2.9", Mark.FAIL), ("2.7", Mark.FAIL), (None, Mark.FAIL)]
)
def test_nnunet_of_another_minor_version_fails(version: str | None, mark: Mark):
    assert mark_of(check_nnunet(version)) is mark


@pytest.mark.parametrize(
    ("version", "mark"),
    [
        ("2.6.0", Mark.OK),
        ("2.10.0+cpu", Mark.OK),
        ("2.11.0.dev20260101", Mark.OK),
        ("2.9.1", Mark.FAIL),
        ("2.5", Mark.FAIL),
        (None, Mark.FAIL),
    ],
)
def test_torch_that_nnunet_or_safe_loading_refuses_fails(version: str | None, mark: Mark):
    assert mark_of(check_torch(version)) is mark


def test_torchvision_of_this_environment_works_with_its_torch():
    assert mark_of(check_torchvision()) is Mark.OK


def test_torchvision_of_another_torch_is_found_by_running_it(monkeypatch: pytest.MonkeyPatch):
    def nms(*arguments):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(torchvision.ops, "nms", nms)
    check = check_torchvision()
    assert mark_of(check) is Mark.FAIL
    assert "torchvision::nms" in check.found
    assert "torch torchvision" in check.remedy
