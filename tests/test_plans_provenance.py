"""What plans tell of how they prepare images."""

from planned_dataset import unet_plans

from nnunetv2_muduo.plans_provenance import provenance_of_plans

DATASET_JSON = {"channel_names": {"0": "CT", "1": "PET"}, "labels": {"background": 0, "liver": 1}}
NUMBERS = {"mean": 40.0, "std": 90.0, "percentile_00_5": -200.0, "percentile_99_5": 300.0, "median": 41.0}


def foreground_of(plans: dict) -> tuple:
    return provenance_of_plans(plans, "3d_fullres", DATASET_JSON, source="test").foreground


def test_the_foreground_is_told_where_the_plans_tell_it_of_every_channel():
    plans = unet_plans()
    plans["foreground_intensity_properties_per_channel"] = {"0": NUMBERS, "1": NUMBERS | {"mean": 5.0}}
    assert foreground_of(plans) == ((40.0, 90.0, -200.0, 300.0), (5.0, 90.0, -200.0, 300.0))
    del plans["foreground_intensity_properties_per_channel"]["1"]["std"]
    assert foreground_of(plans) == ()
    del plans["foreground_intensity_properties_per_channel"]
    assert foreground_of(plans) == ()
