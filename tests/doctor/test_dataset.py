"""Channels, labels, plans and labelled cases of a dataset."""

import pytest
from doctor_dataset import DATASET_JSON, PLANS, Tiny
from doctor_marks import mark_of
from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import get_normalization_scheme
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunetv2_muduo.doctor import dataset as dataset_checks
from nnunetv2_muduo.doctor.check import Check, Mark
from nnunetv2_muduo.settings import Settings


def test_channels_must_be_a_ct_and_a_pet():
    assert mark_of(dataset_checks.check_channels(DATASET_JSON, Settings())) is Mark.OK
    mri = {**DATASET_JSON, "channel_names": {"0": "T1", "1": "PET"}}
    assert mark_of(dataset_checks.check_channels(mri, Settings())) is Mark.FAIL


def test_ct_by_another_name_than_ct_is_told_since_nnunet_does_not_normalise_it_as_ct():
    def check(*names: str, **settings) -> Check:
        content = {**DATASET_JSON, "channel_names": {str(number): name for number, name in enumerate(names)}}
        return dataset_checks.check_channels(content, Settings(**settings))

    for name in ("CT", "ct", "CT_lowdose"):
        planned = get_normalization_scheme(name).__name__
        assert (mark_of(check("SUV", name)) is Mark.OK) == (planned == "CTNormalization")
    two = ("PET", "CT", "CT")
    assert mark_of(check(*two, ct_channel=2)) is Mark.OK
    assert "ct_channel" in check(*two).remedy


def test_regions_fail_and_the_ignore_label_is_no_organ():
    assert dataset_checks.check_labels(DATASET_JSON).found == "2 organ(s): liver, spleen"
    regions = {**DATASET_JSON, "labels": {"background": 0, "whole": [1, 2], "core": 2}}
    assert mark_of(dataset_checks.check_labels(regions)) is Mark.FAIL


def test_a_label_alone_in_a_list_is_no_region_for_the_doctor_nor_for_nnunet():
    def labels(**given) -> dict:
        return {**DATASET_JSON, "labels": {"background": 0, "liver": 1, **given}}

    assert dataset_checks.check_labels(labels(spleen=[2])).found == "2 organ(s): liver, spleen"
    assert not PlansManager(PLANS).get_label_manager(labels(spleen=[2])).has_regions
    assert mark_of(dataset_checks.check_labels(labels(spleen=[]))) is Mark.FAIL
    assert mark_of(dataset_checks.check_labels(labels(ignore=[2]))) is Mark.FAIL  # which nnU-Net refuses
    assert dataset_checks.check_labels({**DATASET_JSON, "labels": {"liver": 1}}).found == "there is no background"


def test_lesions_are_not_to_be_taught_by_teachers_that_nobody_judges():
    lesions = {**DATASET_JSON, "labels": {"background": 0, "lesion": 1}}
    (check,) = dataset_checks.check_lesions(lesions, Settings(), command="muduo plan -d 1")
    assert mark_of(check) is Mark.WARN
    assert check.remedy == "muduo plan -d 1 --set reliability=report min_prompt_iou=0.2"
    assert dataset_checks.check_lesions(lesions, Settings(reliability="gate"), command="") == []
    assert dataset_checks.check_lesions(DATASET_JSON, Settings(), command="") == []


def test_left_and_right_are_not_to_be_mirrored():
    content = DATASET_JSON | {"labels": {"background": 0, "left kidney": 1, "right kidney": 2}}
    (mirrored,) = dataset_checks.check_sides(content, Settings(), command="muduo plan -d 221")
    assert mark_of(mirrored) is Mark.WARN
    assert "left kidney and right kidney" in mirrored.found
    assert mirrored.remedy == "muduo plan -d 221 --set mirroring=false"
    (other,) = dataset_checks.check_sides(content, Settings(mirroring=False), command="muduo plan -d 221")
    assert mark_of(other) is Mark.OK
    assert dataset_checks.check_sides(DATASET_JSON, Settings(), command="") == []


def test_plans_show_their_settings(tiny: Tiny):
    tiny.write_plans(muduo={"points": 5})
    check, plans = tiny.check_plans()
    assert mark_of(check) is Mark.OK
    assert "points=5" in check.found
    assert plans is not None


def test_missing_plans_and_wrong_settings_fail(tiny: Tiny):
    tiny.write_plans(muduo={"pints": 5})
    check, plans = tiny.check_plans()
    assert mark_of(check) is Mark.FAIL
    assert "did you mean 'points'" in check.found
    assert plans is None
    (tiny.preprocessed / "nnUNetPlans.json").unlink()
    assert mark_of(tiny.check_plans()[0]) is Mark.FAIL


def test_dataset_json_that_changed_since_planning_fails_since_trainings_read_its_copy(tiny: Tiny):
    def check(**changes) -> list[Check]:
        return dataset_checks.check_copy(tiny.preprocessed, DATASET_JSON | changes, configuration="3d_lowres")

    assert check() == check(numTraining=9, description="ours") == []
    (relabelled,) = check(labels={"background": 0, "liver": 1})
    assert mark_of(relabelled) is Mark.FAIL
    assert relabelled.found.startswith("labels changed since planning")
    assert relabelled.remedy.startswith("nnUNetv2_plan_and_preprocess -d 221 -c 3d_lowres;")
    (renamed,) = check(channel_names={"0": "PET", "1": "CT"}, regions_class_order=[1, 2])
    assert renamed.found.startswith("channel_names, regions_class_order changed")
    (tiny.preprocessed / "dataset.json").unlink()
    assert mark_of(check()[0]) is Mark.FAIL


def test_missing_plans_of_a_preset_come_with_the_command_that_makes_them(tiny: Tiny):
    check, _ = dataset_checks.check_plans(
        tiny.preprocessed, "nnUNetPlansPETCTMAE", configuration="3d_fullres", dataset_json=DATASET_JSON
    )
    assert mark_of(check) is Mark.FAIL
    assert check.remedy == f"muduo plan -d {int(tiny.preprocessed.name[7:10])} --preset petct_mae"


@pytest.mark.parametrize(("cases", "mark"), [(0, Mark.FAIL), (3, Mark.WARN), (4, Mark.OK)])
def test_labelled_cases_must_be_preprocessed(tiny: Tiny, cases: int, mark: Mark):
    tiny.preprocess(cases)
    check, *folds = dataset_checks.check_preprocessed(
        tiny.preprocessed, "nnUNetPlans", plans=PLANS, configuration="3d_fullres", dataset_json=DATASET_JSON
    )
    assert mark_of(check) is mark
    assert [mark_of(fold) for fold in folds] == ([Mark.OK] if cases else [])
