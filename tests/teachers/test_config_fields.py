"""A configuration from a file may hold anything; what no teacher can be made of is named."""

import pytest

from nnunetv2_muduo.teachers.click_unet import ClickUNetConfig
from nnunetv2_muduo.teachers.sam3d.config import Sam3DConfig


@pytest.mark.parametrize("config", [ClickUNetConfig, Sam3DConfig])
@pytest.mark.parametrize("value", [True, False, None, "1.5", {"": {}}, [1.5], 0, -1.5, float("nan"), float("inf")])
def test_a_number_must_be_one_above_zero(config: type, value: object):
    with pytest.raises(ValueError, match=r"spacing_in_mm is .*; it must be"):
        config.from_dict({"spacing_in_mm": value})


def test_a_whole_number_is_no_fraction_and_a_fraction_may_be_whole():
    with pytest.raises(ValueError, match=r"cube_size is 48\.0; it must be a whole number"):
        ClickUNetConfig(cube_size=48.0)  # type: ignore[arg-type]
    assert ClickUNetConfig(spacing_in_mm=8).spacing_in_mm == 8


@pytest.mark.parametrize("value", [16, [16, "32"], [16, -1], [True], {"a": 1}])
def test_a_list_holds_whole_numbers(value: object):
    with pytest.raises(ValueError, match=r"features_per_stage is .*; it must be a list of whole numbers"):
        ClickUNetConfig.from_dict({"features_per_stage": value})


def test_a_stage_has_features():
    with pytest.raises(ValueError, match="of a stage must be greater than 0"):
        ClickUNetConfig(features_per_stage=(16, 0, 64, 96))


def test_an_orientation_is_a_text():
    with pytest.raises(ValueError, match="orientation is 3; it must be a text"):
        Sam3DConfig(orientation=3)  # type: ignore[arg-type]
