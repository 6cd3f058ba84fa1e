import numpy as np
import pytest
from trained_folders import summary

from nnunetv2_muduo.reporting.tables import DICE, METRICS, case_table, compared, metric_table, source_table
from nnunetv2_muduo.reporting.validation import scores_of

NAN = float("nan")
HD95 = next(metric for metric in METRICS if metric.key == "HD95")
KEYS = {"liver": "1", "spleen": "2", "lesion": "3"}


def scores(**cases):
    return scores_of(
        summary({c: dict(zip(KEYS, v, strict=True)) for c, v in cases.items()}), KEYS, file_ending=".nii.gz"
    )


def test_best_is_highest_dice_and_lowest_distance():
    assert [cell.best for cell in compared([0.5, 0.7, NAN], DICE)] == [False, True, False]
    assert [cell.best for cell in compared([5.0, 7.0, NAN], HD95)] == [True, False, False]


def test_nothing_is_best_alone():
    assert [cell.best for cell in compared([0.5, NAN], DICE)] == [False, False]


def test_difference_is_to_the_first_and_only_where_both_are():
    cells = compared([0.5, 0.75, 0.25, NAN], DICE)
    assert [cell.difference for cell in cells] == ["", "+0.250", "\N{MINUS SIGN}0.250", ""]
    assert [cell.difference for cell in compared([NAN, 0.5], DICE)] == ["", ""]


def test_numbers_are_those_of_summary_json():
    table = metric_table({"a": scores(x=(0.9, 0.5, 0.1), y=(0.7, 0.3, 0.2)), "b": None}, DICE)
    values = {name: [cell.value for cell in cells] for name, cells in table.rows}
    assert values["liver"] == pytest.approx([0.8, NAN], nan_ok=True)
    assert values["mean"] == pytest.approx([0.45, NAN], nan_ok=True)
    assert dict(table.rows)["liver"][0].spread == f"{np.std([0.9, 0.7], ddof=1):.3f}"


def test_means_over_other_cases_are_not_compared():
    folds = {"fold 0": scores(x=(0.9, 0.5, 0.1)), "fold 1": scores(y=(0.7, 0.3, 0.2))}
    table = metric_table(folds, DICE)
    assert "not to be compared" in table.caption
    assert not any(cell.best or cell.difference for _, cells in table.rows for cell in cells)
    same = metric_table({"a": scores(x=(0.9, 0.5, 0.1)), "b": None, "c": scores(x=(0.7, 0.6, 0.2))}, DICE)
    assert "not to be compared" not in same.caption
    assert [cell.best for cell in dict(same.rows)["liver"]] == [True, False, False]


def test_means_over_other_organs_are_not_compared():
    fewer = scores_of(summary({"x": dict.fromkeys(KEYS, 0.4)}), {"liver": "1"}, file_ending=".nii.gz")
    rows = dict(metric_table({"all": scores(x=(0.9, 0.5, 0.1)), "liver alone": fewer}, DICE).rows)
    assert [cell.best for cell in rows["liver"]] == [True, False]
    assert not any(cell.best or cell.difference for cell in rows["mean"])


def test_volumes_have_a_reference_only_where_it_is_one_for_all():
    def measured(case: str):
        told = summary({case: dict(zip(KEYS, (0.9, 0.5, 0.1), strict=True))})
        for key in KEYS.values():
            told["mean"][key] |= {"volume_pred_ml": 3.0, "volume_ref_ml": 4.0}
        return scores_of(told, KEYS, file_ending=".nii.gz")

    volume = next(metric for metric in METRICS if metric.key == "volume_pred_ml")
    assert metric_table({"a": measured("x"), "b": measured("x")}, volume).columns == ("reference", "a", "b")
    assert metric_table({"a": measured("x"), "b": measured("y")}, volume).columns == ("a", "b")


def test_metric_that_nobody_measured_has_no_table():
    assert metric_table({"a": scores(x=(0.9, 0.5, 0.1))}, HD95) is None


def test_cases_stand_worst_first():
    table = case_table({"a": scores(good=(0.9, 0.9, 0.9), bad=(0.1, 0.1, 0.1)), "b": scores(bad=(0.4, 0.4, 0.4))})
    assert [name for name, _ in table.rows] == ["bad", "good"]
    assert [cell.text for cell in table.rows[1][1]] == ["0.900", "\N{EN DASH}"]


def test_teacher_report_has_a_column_for_each_source():
    table = source_table("report", {"ct_teacher": [0.5, NAN], "fused": [0.75, NAN]}, ["liver", "spleen"])
    assert table.columns == ("CT teacher", "Fused")
    assert [cell.text for cell in dict(table.rows)["mean"]] == ["0.500", "0.750"]
    assert [cell.difference for cell in dict(table.rows)["liver"]] == ["", ""]
