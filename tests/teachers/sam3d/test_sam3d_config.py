"""The configuration of Sam3D."""

import json
from dataclasses import FrozenInstanceError

import pytest

from nnunetv2_muduo.teachers.sam3d import Sam3DConfig


def test_configuration_survives_a_trip_through_json(small_config):
    assert Sam3DConfig.from_dict(json.loads(json.dumps(small_config.to_dict()))) == small_config


def test_missing_keys_keep_the_released_values():
    assert Sam3DConfig.from_dict({}) == Sam3DConfig()


def test_released_sizes_are_the_defaults():
    config = Sam3DConfig()
    assert (config.grid_size, config.mask_size) == (8, 32)


def test_unknown_keys_are_refused_by_name():
    with pytest.raises(ValueError, match="windw_size"):
        Sam3DConfig.from_dict({"windw_size": 14})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patch_size", 15),
        ("encoder_heads", 11),
        ("prompt_width", 100),
        ("mask_width", 6),
        ("decoder_heads", 7),
        ("window_size", 0),
        ("global_blocks", [12]),
    ],
)
def test_numbers_that_do_not_fit_are_refused_by_name(key, value):
    with pytest.raises(ValueError, match=key):
        Sam3DConfig.from_dict({key: value})


def test_configuration_is_frozen(small_config):
    with pytest.raises(FrozenInstanceError):
        small_config.image_size = 32


def test_reading_a_configuration_leaves_the_dictionary_alone():
    values = {"global_blocks": [2]}
    Sam3DConfig.from_dict(values)
    assert values == {"global_blocks": [2]}
