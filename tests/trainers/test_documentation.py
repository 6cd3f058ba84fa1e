"""What docs/baselines.md says is what there is."""

import importlib
import re
from dataclasses import fields
from pathlib import Path

from nnunetv2_muduo.settings import Settings, parse_assignment

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "baselines.md").read_text(encoding="utf-8")


def test_every_trainer_of_the_page_exists():
    names = set(re.findall(r"nnUNetTrainer\w+", PAGE))
    assert len(names) == 6
    for name in names:
        assert hasattr(importlib.import_module(f"nnunetv2_muduo.trainers.{name}"), name)


def test_every_ablation_is_a_set_of_settings():
    rows = PAGE.partition("## Ablations")[2].partition("|---|---|")[2].strip().splitlines()
    assert len(rows) == 18
    for row in rows:
        given = [
            dict(parse_assignment(word) for word in choice.split())
            for choice in re.findall(r"`([^`]+)`", row)
            if choice
        ]
        assert given
        for settings in given:
            Settings.from_dict(settings)


def test_defaults_of_the_page_are_those_of_the_settings():
    table = PAGE.partition("| setting | default | for |")[2].partition("\n\n")[0]
    shown = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \|", table, re.MULTILINE))
    assert set(shown) == {"ema_decay", "predict_with", "uncertainty_passes", "generalist", "generalist_prompt"}
    usual = {item.name: str(item.default) for item in fields(Settings)}
    assert {key: usual[key] for key in shown} == shown
