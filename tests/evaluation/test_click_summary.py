import numpy as np
import pytest

from nnunetv2_muduo.evaluation.click_summary import ClickRow, ClickSummary

ROWS = [
    ClickRow("a", "liver", 10, 1, 0.5, 1, 1.0),
    ClickRow("a", "liver", 10, 3, 0.7, 2, 2.0),
    ClickRow("b", "liver", 10, 1, 0.7, 1, 2.0),
    ClickRow("b", "liver", 10, 3, 0.9, 4, 4.0),
    ClickRow("b", "spleen", 10, 1, 0.2, 1, 1.0),
    ClickRow("b", "spleen", 10, 3, 0.4, 3, 3.0),
]
SUMMARY = ClickSummary.of(ROWS, ["spleen", "liver", "bladder"])


def test_means_are_taken_over_cases_then_over_organs():
    assert SUMMARY.organs == ("spleen", "liver")
    np.testing.assert_allclose(SUMMARY.dice, [[0.2, 0.4], [0.6, 0.8]])
    np.testing.assert_allclose(SUMMARY.mean, [0.4, 0.6])


def test_table_has_an_organ_a_row_and_the_mean_last():
    assert SUMMARY.as_table().splitlines() == [
        "| Dice               | n | 1 click | 3 clicks |",
        "| ------------------ | - | ------- | -------- |",
        "| spleen             | 1 |   0.200 |    0.400 |",
        "| liver              | 2 |   0.600 |    0.800 |",
        "| **mean of organs** |   |   0.400 |    0.600 |",
    ]


def test_seconds_are_those_of_all_clicks_over_their_number():
    assert SUMMARY.seconds_per_click == pytest.approx((2 + 4 + 3) / 9)
    assert SUMMARY.windows == pytest.approx(3)
