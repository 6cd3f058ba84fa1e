"""docs/settings.md is what the code says."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.presets import preset_paths
from nnunetv2_muduo.setting_rules import Whole, setting
from nnunetv2_muduo.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts" / "write_settings_reference.py"
    spec = importlib.util.spec_from_file_location("write_settings_reference", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_up_to_date(script: ModuleType):
    written = script.PAGE.read_text(encoding="utf-8")
    assert written == script.page(), "run python scripts/write_settings_reference.py"


def test_every_setting_and_every_preset_has_a_row(script: ModuleType):
    written = script.page()
    for name in [*Settings.__dataclass_fields__, *MAESettings.__dataclass_fields__, *preset_paths()]:
        assert f"\n| `{name}` | " in written


def test_a_row_tells_default_choices_and_null(script: ModuleType):
    rows = {line.split("|")[1].strip(): line for line in script.page().splitlines() if line.startswith("| `")}
    assert "| `random` | `random`, `mean`, `report` |" in rows["`fusion`"]
    assert "| `null` | a whole number of at least 2, below 2^31 or `null` |" in rows["`unlabelled_batch_size`"]
    assert "| `0.000001` | a number from 0 up to 1 |" in rows["`final_lr`"]


@dataclass(frozen=True)
class Undescribed:
    """Two settings.

    Attributes:
        first: of them.
    """

    first: int = setting(1, Whole(1))
    second: int = setting(1, Whole(1))


def test_a_setting_without_a_description_is_named(script: ModuleType):
    with pytest.raises(ValueError, match="second"):
        script.descriptions(Undescribed)


def test_names_that_share_a_description_have_one_each(script: ModuleType):
    described = script.descriptions(MAESettings)
    assert described["initial_lr"] == described["final_lr"]


def test_a_setting_that_is_in_no_group_is_named(script: ModuleType, monkeypatch: pytest.MonkeyPatch):
    shorter = {title: names for title, names in script.GROUPS.items() if "fusion" not in names}
    monkeypatch.setattr(script, "GROUPS", shorter)
    with pytest.raises(ValueError, match="fusion"):
        script.page()
