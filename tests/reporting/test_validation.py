import numpy as np
import pytest
from trained_folders import summary

from nnunetv2_muduo.reporting.validation import scores_of

KEYS = {"liver": "1", "spleen": "2", "lesion": "3"}
NAN = float("nan")


def test_organ_that_no_case_has_is_left_out_of_the_mean():
    told = summary({"x": {"liver": 0.9, "spleen": 0.5, "lesion": 0.4}})
    told["mean"]["3"]["Dice"] = told["foreground_mean"]["Dice"] = NAN
    found = scores_of(told, KEYS, file_ending=".nii.gz")
    assert found.foreground["Dice"] == pytest.approx(0.7)
    assert found.organs_counted == 2


def test_means_are_the_files_and_not_counted_again():
    told = summary({"x": {"liver": 0.9, "spleen": 0.5, "lesion": 0.4}})
    told["mean"]["1"]["Dice"], told["foreground_mean"]["Dice"] = 0.123, 0.456
    found = scores_of(told, KEYS, file_ending=".nii.gz")
    assert (found.means["Dice"]["liver"], found.foreground["Dice"]) == (0.123, 0.456)


def test_regions_are_found_by_nnunets_keys():
    told = {"mean": {"(1, 2)": {"Dice": 0.5}}, "foreground_mean": {"Dice": 0.5}}
    assert scores_of(told, {"whole": "(1, 2)"}, file_ending=".nii.gz").means["Dice"] == {"whole": 0.5}


def test_case_keeps_the_dots_in_its_name_and_its_missing_organs():
    told = summary({"case.v2 x": {"liver": 0.9, "spleen": NAN, "lesion": 0.5}})
    (case,) = scores_of(told, KEYS, file_ending=".nii.gz").cases
    assert case.name == "case.v2 x"
    assert case.mean == pytest.approx(0.7)
    assert np.isnan(case.dice["spleen"])
