"""A resumed pretraining that would not go on as it began is refused in one sentence."""

import copy
from contextlib import nullcontext

import pytest
from planned_dataset import unet_plans

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_training.refusals import refuse_changed_cases, refuse_changed_settings

BEFORE = {"a": "training", "b": "training", "c": "held_out"}


def changed_plans(key: str, value: object) -> dict:
    plans = unet_plans()
    configuration = plans["configurations"]["3d_fullres"]
    tables = (plans["configurations"]["3d_small_batch"], configuration, configuration["architecture"]["arch_kwargs"])
    next(table for table in tables if key in table)[key] = value
    return plans


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("batch_size", 3, "'batch_size' was 1 when this pretraining began and is now 3; set it back in the plans file"),
        ("patch_size", [16, 16, 32], r"'patch_size' was \[32, 48, 48\] .* is now \[16, 16, 32\]"),
        ("spacing", [1, 1, 1], "'spacing' was"),
        ("n_stages", 4, "'architecture.n_stages' was 3 .* is now 4"),
    ],
)
def test_other_plans_are_refused_by_name_and_value(key, value, told):
    with pytest.raises(UserError, match=told):
        refuse_changed_settings(unet_plans(), changed_plans(key, value), "3d_small_batch")


@pytest.mark.parametrize(
    ("key", "value"),
    [("use_mask_for_norm", [True, True]), ("resampling_fn_data_kwargs", {"is_seg": False, "order": 1})],
)
def test_scans_that_are_prepared_otherwise_are_refused(key, value):
    with pytest.raises(UserError, match=rf"Cannot continue: '{key}' was "):
        refuse_changed_settings(unet_plans(), changed_plans(key, value), "3d_small_batch")


def test_other_axes_are_refused():
    turned = unet_plans() | {"transpose_forward": [1, 0, 2]}
    with pytest.raises(UserError, match=r"'transpose_forward' was \[0, 1, 2\] .* is now \[1, 0, 2\]"):
        refuse_changed_settings(unet_plans(), turned, "3d_fullres")


@pytest.mark.parametrize(("scheme", "refused"), [("CTNormalization", True), ("ZScoreNormalization", False)])
def test_another_foreground_is_refused_where_scans_are_scaled_by_it(scheme, refused):
    before, now = (changed_plans("normalization_schemes", [scheme, "ZScoreNormalization"]) for _ in range(2))
    for plans, mean in ((before, 40.0), (now, 60.0)):
        plans["foreground_intensity_properties_per_channel"] = {"0": {"mean": mean}, "1": {}}
    with pytest.raises(UserError, match=r"intensities of channel 0.*40.*60") if refused else nullcontext():
        refuse_changed_settings(before, now, "3d_fullres")


def test_another_kind_of_network_is_refused():
    plans = unet_plans()
    plans["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "ResidualEncoderUNet"
    with pytest.raises(UserError, match=r"'architecture' was .*PlainConvUNet .* is now ResidualEncoderUNet"):
        refuse_changed_settings(unet_plans(), plans, "3d_fullres")


def test_a_batch_size_of_the_plans_that_pretraining_does_not_use_may_change():
    before, now = (plans | {"mae": {"batch_size": 4}} for plans in (unet_plans(), changed_plans("batch_size", 3)))
    refuse_changed_settings(before, now, "3d_small_batch")


def test_the_plans_that_are_compared_stay_as_they_are():
    plans = unet_plans()
    kept = copy.deepcopy(plans)
    refuse_changed_settings(plans, plans, "3d_small_batch")
    assert plans == kept


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (BEFORE | {"d": "training"}, r"\(new: d\)"),
        ({"a": "training", "c": "held_out"}, r"\(gone: b\)"),
        (BEFORE | {"b": "held_out"}, r"\(moved between training and validation: b\)"),
        ({f"x{i}": "training" for i in range(7)}, r"\(new: x0, x1, x2, x3, x4 and 2 more; gone: a, b, c\)"),
    ],
)
def test_other_cases_are_refused_and_some_are_named(now, told):
    with pytest.raises(UserError, match=told):
        refuse_changed_cases(BEFORE, now)


def test_the_same_cases_in_another_order_are_fine():
    refuse_changed_cases(BEFORE, dict(reversed(BEFORE.items())))
