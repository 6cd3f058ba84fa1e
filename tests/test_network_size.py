import copy

import pytest
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from planned_dataset import unet_plans

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.network_size import resize_network


@pytest.fixture
def configuration() -> dict:
    return unet_plans()["configurations"]["3d_fullres"]


def build(resized):
    architecture = resized["architecture"]
    return get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        2,
        3,
        deep_supervision=True,
    )


@pytest.mark.parametrize("patch_size", [16, [40, 33, 24], [64, 64, 64], 500, [9, 64, 64]])
def test_a_resized_network_can_be_built_and_takes_its_patch(configuration, patch_size):
    resized = resize_network(configuration, {"patch_size": patch_size, "features": 2, "max_features": 6})
    outputs = build(resized)(torch.rand(1, 2, *resized["patch_size"]))
    assert outputs[0].shape == (1, 3, *resized["patch_size"])
    assert len(outputs) == resized["architecture"]["arch_kwargs"]["n_stages"] - 1


def test_features_double_up_to_their_maximum(configuration):
    resized = resize_network(configuration, {"patch_size": 64, "features": 8, "max_features": 24})
    assert resized["architecture"]["arch_kwargs"]["features_per_stage"][:4] == [8, 16, 24, 24]


def test_a_patch_is_clipped_to_the_median_shape_and_rounded_up_to_what_poolings_need(configuration):
    patch_size = resize_network(configuration, {"patch_size": 500})["patch_size"]
    assert all(median <= edge < median + 16 for median, edge in zip([90, 61, 70], patch_size, strict=True))


def test_a_patch_that_fits_is_kept(configuration):
    assert resize_network(configuration, {"patch_size": [32, 48, 48]})["patch_size"] == [32, 48, 48]


def test_what_is_not_asked_for_stays(configuration):
    before = copy.deepcopy(configuration)
    resized = resize_network(configuration, {"features": 4})
    assert resized["batch_size"] == 2
    assert resized["patch_size"] == [32, 48, 48]
    assert resized["architecture"]["arch_kwargs"]["conv_op"] == "torch.nn.modules.conv.Conv3d"
    assert configuration == before


def test_residual_encoders_are_resized_as_well(configuration):
    architecture = configuration["architecture"]
    architecture["network_class_name"] = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"
    architecture["arch_kwargs"].pop("n_conv_per_stage")
    architecture["arch_kwargs"] |= {"n_blocks_per_stage": [1, 3, 4], "n_conv_per_stage_decoder": [1, 1]}
    resized = resize_network(configuration, {"patch_size": 64, "features": 4, "max_features": 8})
    assert resized["architecture"]["arch_kwargs"]["n_blocks_per_stage"] == [1, 3, 4, 4, 4]
    build(resized)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"patchsize": 32}, 'Unknown key "patchsize"'),
        ({"features": 0}, '"features"'),
        ({"batch_size": 2.0}, '"batch_size"'),
        ({"patch_size": [32, "a", 32]}, '"patch_size"'),
        ({"patch_size": [32, 32]}, "3 axes"),
        ({"patch_size": 6}, "too small"),
    ],
)
def test_an_impossible_size_is_refused(configuration, request_, message):
    with pytest.raises(UserError, match=message):
        resize_network(configuration, request_)
