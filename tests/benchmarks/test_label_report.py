import numpy as np
import pytest
from label_report import dice_of, difference, draw, false_positives, mean_dice, organ_rows, panels, table_rows
from matplotlib import pyplot


def record(method: str, *, seed: int, liver: list, brain: list, budget: int = 5) -> dict:
    """Two organs, two test cases."""
    return {
        "method": method,
        "title": method,
        "budget": budget,
        "seed": seed,
        "dice": {"liver": liver, "brain": brain},
        "false_positive_ml": {"liver": [None, None], "brain": [None, 3.0 if brain[1] is None else None]},
    }


RECORDS = [
    record("supervised", seed=0, liver=[0.5, 0.7], brain=[0.2, None]),
    record("supervised", seed=1, liver=[0.6, 0.6], brain=[0.4, None]),
    record("muduo", seed=0, liver=[0.6, 0.8], brain=[0.4, None]),
    record("muduo", seed=1, liver=[0.6, 0.6], brain=[0.8, None]),
    record("cps", seed=2, liver=[0.1, 0.1], brain=[0.1, None]),
]


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


def test_figure_has_a_panel_for_budgets_where_there_are_several(tmp_path):
    more = [record("supervised", seed=0, liver=[0.9, 0.9], brain=[0.9, None], budget=10)]
    draw(RECORDS + more, tmp_path / "figure.png")
    draw(RECORDS, tmp_path / "one budget.png")
    widths = [pyplot.imread(tmp_path / f"{name}.png").shape[1] for name in ("figure", "one budget")]
    assert widths == [1320, 770]  # without an empty panel


def test_long_trainings_and_ablations_have_panels_of_their_own():
    more = [
        record(method, seed=0, liver=[0.9, 0.9], brain=[0.9, None])
        for method in ("muduo-pet-only", "cps-long", "supervised-long")
    ]
    assert panels(RECORDS + more) == {
        "5 labelled scans": ["supervised", "muduo", "cps"],
        "5 labelled scans, four times the steps": ["supervised-long", "cps-long"],
        "5 labelled scans, MuDuo set otherwise": ["muduo", "muduo-pet-only"],
    }
    assert list(panels(RECORDS)) == ["5 labelled scans"]
