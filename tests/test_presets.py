import inspect
import json

import pytest
from nnunetv2.experiment_planning.experiment_planners.residual_unets import residual_encoder_unet_planners
from planned_dataset import unet_plans

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.network_size import resize_network
from nnunetv2_muduo.presets import OTHER_PLANNERS, load_preset, planning_command, preset_paths
from nnunetv2_muduo.settings import Settings


@pytest.mark.parametrize("name", preset_paths())
def test_every_shipped_preset_is_described_and_valid(name):
    preset = load_preset(name)
    assert preset.description
    Settings.from_dict(preset.muduo)
    MAESettings.from_plans({"mae": preset.mae})
    resize_network(unet_plans()["configurations"]["3d_fullres"], preset.network)


def test_the_published_preset_differs_from_the_defaults_where_the_published_code_does():
    settings = Settings.from_dict(load_preset("published").muduo)
    assert (settings.point_strategy, settings.mask_prompt, settings.point_mask) == ("first", "probabilities", "none")
    assert settings.num_epochs * settings.iterations_per_epoch == 30_000


def test_the_published_preset_weighs_consistency_against_supervision_as_the_published_code_does():
    supervised_here, supervised_there, weight_there = 1 + 1, 0.5 * (1 + 1), 0.1  # of cross-entropy and Dice
    settings = Settings.from_dict(load_preset("published").muduo)
    assert settings.consistency_weight / supervised_here == weight_there / supervised_there


def test_an_unknown_preset_is_answered_with_those_there_are():
    with pytest.raises(UserError, match=r"no preset 'publish'; there are cautious, .*published"):
        load_preset("publish")


def test_a_file_of_ones_own_is_a_preset(tmp_path):
    path = tmp_path / "my own.json"
    path.write_text(json.dumps({"muduo": {"points": 5}}))
    assert load_preset(str(path)).muduo == {"points": 5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"settings": {}}', "unknown entry 'settings'"),
        ('{"muduo": 3}', "'muduo' must be a table"),
        ('["muduo"]', "JSON table"),
        ("{", "not valid JSON"),
    ],
)
def test_a_file_that_is_no_preset_is_refused(tmp_path, content, message):
    path = tmp_path / "wrong.json"
    path.write_text(content)
    with pytest.raises(UserError, match=message):
        load_preset(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.json is missing"):
        load_preset(str(tmp_path / "nowhere.json"))


@pytest.mark.parametrize(("plans_name", "planner"), OTHER_PLANNERS.items())
def test_plans_of_another_planner_are_made_with_it(plans_name: str, planner: str):
    found = inspect.signature(getattr(residual_encoder_unet_planners, planner)).parameters["plans_name"].default
    assert found == plans_name
    assert planning_command(221, plans_name) == f"nnUNetv2_plan_and_preprocess -d 221 -pl {planner} -c 3d_fullres"
