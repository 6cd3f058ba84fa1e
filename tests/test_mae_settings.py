import json

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_settings import MAESettings


def test_the_defaults_are_the_published_numbers():
    settings = MAESettings()
    assert (settings.block, settings.ratio, settings.visible_weight) == ((12, 16, 16), 0.5, 0.2)
    assert (settings.initial_lr, settings.final_lr, settings.weight_decay) == (5e-4, 1e-6, 1e-5)
    assert (settings.num_epochs, settings.clip_norm) == (200, 1.0)
    assert (settings.zoom, settings.zoom_probability) == ((0.9, 1.1), 0.5)


def test_plans_without_settings_give_the_defaults_and_stay_as_they_are():
    plans = {"plans_name": "nnUNetPlans", "mae": {"block": [4, 4, 4]}}
    assert MAESettings.from_plans({}) == MAESettings()
    assert MAESettings.from_plans(plans).block == (4, 4, 4)
    assert plans["mae"] == {"block": [4, 4, 4]}


def test_settings_survive_a_trip_through_json():
    settings = MAESettings(channels=(1,), seed=3, zoom=(1.0, 1.0))
    assert MAESettings.from_plans({"mae": json.loads(json.dumps(settings.to_dict()))}) == settings


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"blok": 3}, "Unknown setting 'blok' .*did you mean 'block'"),
        ({"block": 12}, "'block' is 12, but must be a list of 3 whole numbers of at least 1"),
        ({"block": [12, 16]}, "'block'"),
        ({"block": [12, 16, 0]}, "'block'"),
        ({"ratio": 0}, "'ratio' is 0, but must be a number above 0"),
        ({"zoom": [1.1, 0.9]}, "'zoom' .* smaller one first"),
        ({"zoom": [0.0, 1.0]}, "'zoom'"),
        ({"channels": [0, 0]}, "'channels' .* different"),
        ({"channels": []}, "'channels'"),
        ({"num_epochs": True}, "'num_epochs'"),
        ({"held_out": 1.0}, "'held_out'"),
        ({"initial_lr": 1e-7}, "'final_lr' is 1e-06, but must not be above 'initial_lr'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(given, message):
    with pytest.raises(UserError, match=message):
        MAESettings.from_plans({"mae": given})


def test_settings_that_are_no_table_are_refused():
    with pytest.raises(UserError, match="table of settings"):
        MAESettings.from_plans({"mae": [1]})
