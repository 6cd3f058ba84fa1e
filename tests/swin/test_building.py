"""Without MONAI, or with an old one: trainers are found, and whoever uses them reads one sentence."""

import subprocess
import sys
from importlib import metadata

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.swin import building

TRAINERS = ("nnUNetTrainerPETCTMAESwin", "nnUNetTrainerPETCTSwin")
FOUND_WITHOUT = """
import sys
sys.modules["monai"] = None  # importing it fails
from importlib import import_module
for name in sys.argv[1:]:
    print(getattr(import_module(f"nnunetv2_muduo.trainers.{name}"), name).__name__)
"""


def test_a_missing_monai_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"not installed; install it with: pip install 'nnunetv2-muduo\[swin\]'"):
        building.build_swin("small", input_channels=2, output_channels=2)


def test_an_old_monai_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    _installed(monkeypatch, "1.4.0")
    with pytest.raises(UserError, match=r"1.5 or newer, not 1.4.0; install it with: pip install 'nnunetv2-muduo\[swin"):
        building.require_monai()


@pytest.mark.parametrize("found", ["1.5.0", "1.10", "1.6rc1", "2.0.0+local", None])
def test_newer_ones_and_unnumbered_ones_are_taken(monkeypatch: pytest.MonkeyPatch, found: str | None):
    _installed(monkeypatch, found)
    building.require_monai()


def _installed(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(name: str) -> str:
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(building, "find_spec", lambda name: object())
    monkeypatch.setattr(building, "version", version)


@pytest.mark.slow
def test_trainers_are_imported_without_monai():
    done = subprocess.run(
        [sys.executable, "-c", FOUND_WITHOUT, *TRAINERS], capture_output=True, encoding="utf-8", check=False
    )
    assert done.stdout.split() == list(TRAINERS), done.stderr
