import numpy as np
import pytest
from label_records import RECORDS, record
from label_report import (
    ablation_rows,
    dice_of,
    difference,
    differences,
    false_positives,
    mean_dice,
    organ_rows,
    paired,
    table_rows,
)


def test_cases_without_an_organ_do_not_count():
    np.testing.assert_array_equal(dice_of(RECORDS[0]), [[0.5, 0.2], [0.7, np.nan]])
    assert mean_dice(RECORDS[0]) == pytest.approx((0.6 + 0.2) / 2)


def test_one_organ_can_be_left_out():
    assert mean_dice(RECORDS[0], without="brain") == pytest.approx(0.6)
    assert mean_dice(RECORDS[0], without="prostate") == mean_dice(RECORDS[0])


def test_false_positives_are_a_mean_over_cases():
    assert false_positives(RECORDS[0]) == 1.5


def test_differences_are_paired_by_seed_and_averaged_over_organs():
    # seed 0: liver +0.1, brain +0.2; seed 1: liver 0, brain +0.4
    text = difference(RECORDS, "muduo", 5)
    assert text.startswith("+0.175 ")
    assert text.endswith("seeds +0.150, +0.200")


def test_long_trainings_are_compared_with_the_long_supervised_one_and_that_with_the_short_one():
    long = [
        record("supervised-long", seed=0, liver=[0.7, 0.7], brain=[0.7, None]),
        record("muduo-long", seed=0, liver=[0.8, 0.8], brain=[0.7, None]),
    ]
    assert difference(RECORDS + long, "muduo-long", 5).endswith("seeds +0.050")
    assert difference(RECORDS + long, "supervised-long", 5).endswith("seeds +0.300")


def test_there_is_no_difference_without_a_supervised_run_of_the_same_seed():
    assert difference(RECORDS, "cps", 5) == ""
    assert difference(RECORDS, "supervised", 5) == ""


def test_table_has_a_row_for_each_method_in_order():
    rows = table_rows(RECORDS)
    assert [row[0] for row in rows] == ["supervised", "MuDuo", "CPS"]
    assert rows[0][2:4] == ["2", "0.450 ± 0.071"]
    assert rows[2][3] == "0.100"


def test_organs_are_averaged_over_the_cases_that_have_them_and_over_seeds():
    assert organ_rows(RECORDS, 5)[:2] == [
        ["supervised", "2", "0.600", "0.300"],  # brain: 0.2 and 0.4, the second case has none
        ["MuDuo", "2", "0.650", "0.600"],
    ]
    assert organ_rows(RECORDS, 10) == []


def test_other_settings_of_muduo_are_compared_with_it_seed_by_seed():
    more = [
        record("muduo-pet-only", seed=1, liver=[0.7, 0.7], brain=[0.7, None]),  # +0.1, -0.1
        record("muduo-pet-only", seed=2, liver=[0.9, 0.9], brain=[0.9, None]),  # a seed that MuDuo does not have
        record("muduo-long", seed=0, liver=[0.9, 0.9], brain=[0.9, None]),
    ]
    rows = ablation_rows(RECORDS + more, 5)
    assert rows == [["MuDuo, PET teacher only", "1", "+0.000", "+0.000", "+0.000", "+0.000"]]
    (pair,) = paired(RECORDS + more, "muduo-pet-only", "muduo", 5)
    assert differences([pair], without="brain") == [pytest.approx(0.1)]
    assert ablation_rows(RECORDS, 5) == []
