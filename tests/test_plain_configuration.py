import pytest
from planned_dataset import unet_plans

from nnunetv2_muduo.errors import UnsupportedError, UserError
from nnunetv2_muduo.plain_configuration import check_preparation, naming_bad_plans, plain_3d_configuration

PLANS = {
    "dataset_name": "Dataset001_Test",
    "plans_name": "nnUNetPlans",
    "configurations": {
        "2d": {"patch_size": [16, 16], "architecture": {}},
        "3d_lowres": {"patch_size": [16, 8, 8], "architecture": {}},
        "3d_cascade_fullres": {"inherits_from": "3d_lowres", "previous_stage": "3d_lowres"},
    },
}


def test_a_3d_configuration_of_one_stage_is_returned():
    assert plain_3d_configuration("T", PLANS, "3d_lowres", because="it is").patch_size == [16, 8, 8]


def test_2d_is_refused_with_the_reason_and_what_to_use():
    with pytest.raises(UnsupportedError, match=r"T needs .* because its teachers are 3d; '2d' is 2d\. Use 3d_fullres"):
        plain_3d_configuration("T", PLANS, "2d", because="its teachers are 3d")


def test_a_second_stage_is_refused_with_the_first_named():
    with pytest.raises(UnsupportedError, match="cascades; '3d_cascade_fullres' follows '3d_lowres'"):
        plain_3d_configuration("T", PLANS, "3d_cascade_fullres", because="")


def test_an_unknown_configuration_is_told_which_there_are():
    with pytest.raises(UserError, match="no configuration '3d'; use one of: 2d, 3d_lowres"):
        plain_3d_configuration("T", PLANS, "3d", because="")


def test_plans_as_nnunet_writes_them_prepare_scans():
    check_preparation(unet_plans(), "3d_small_batch")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("preprocessor_name", "NoSuchPreprocessor"),
        ("resampling_fn_data", "no_such_function"),
        ("use_mask_for_norm", [True]),
        ("inherits_from", "3d_fullres"),
    ],
)
def test_what_nnunet_does_not_find_by_its_name_is_told_of_the_plans(key, value):
    plans = unet_plans()
    plans["configurations"]["3d_fullres"][key] = value
    with pytest.raises(UserError, match="3d_fullres"):
        check_preparation(plans, "3d_fullres")


def test_a_reader_that_nnunet_does_not_have_is_told():
    with pytest.raises(UserError, match=r"'3d_fullres' of the plans nnUNetPlans .*; plan the dataset again"):
        check_preparation({**unet_plans(), "image_reader_writer": "NoSuchReader"}, "3d_fullres")


def test_a_users_mistake_keeps_its_own_words():
    with pytest.raises(UserError, match="Mine"), naming_bad_plans({}, "3d"):
        raise UserError("Mine")


@pytest.mark.parametrize("told", [None, {}, {"1": {}}, {"0": {"mean": 1.0}, "1": {}}])
def test_plans_without_the_intensities_that_nnunet_looks_up_are_told(told):
    plans = unet_plans() | {"foreground_intensity_properties_per_channel": told}
    if told is None:
        del plans["foreground_intensity_properties_per_channel"]
    with pytest.raises(UserError, match=r"plans nnUNetPlans do not tell the intensities of channel 0 .*plan the datas"):
        check_preparation(plans, "3d_fullres")
