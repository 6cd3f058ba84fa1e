import importlib
from dataclasses import fields

import pytest

from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.training.ignored_settings import OF_ANY_TEACHER, set_in_vain

TRAINERS = ("MuDuo", "MeanTeacher", "UAMT", "CPS", "SemiSAM")


def test_only_what_differs_from_the_default_is_told():
    plans = {"muduo": {"points": 3, "fusion": "mean", "num_epochs": 7, "ct_teacher": None}}
    assert set_in_vain(plans, OF_ANY_TEACHER) == ("ct_teacher", "fusion")
    assert set_in_vain({}, OF_ANY_TEACHER) == ()


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_ignored_setting_exists(trainer: str):
    name = f"nnUNetTrainer{trainer}"
    trainer_class = getattr(importlib.import_module(f"nnunetv2_muduo.trainers.{name}"), name)
    assert set(trainer_class.ignored_settings) < {item.name for item in fields(Settings)}
    assert len(set(trainer_class.ignored_settings)) == len(trainer_class.ignored_settings)
