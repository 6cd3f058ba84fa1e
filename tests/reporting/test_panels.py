import numpy as np
import pytest
from trained_folders import ORGANS, logged, write_fold

from nnunetv2_muduo.reporting.panels import newest_report, over_epochs, panel_groups
from nnunetv2_muduo.reporting.training import read_training

NAN = float("nan")


def training_that_logged(tmp_path, name="mine", **more):
    return read_training(write_fold(tmp_path / name, log=logged(4, **more)), name)


def panels(trainings):
    return {(group.title, panel.title): panel for group in panel_groups(trainings) for panel in group.panels}


def test_stock_training_has_its_curves_and_no_panel_is_empty(tmp_path):
    drawn = panels([training_that_logged(tmp_path)])
    assert {("Losses", "Loss"), ("Course", "Learning rate"), ("Course", "Duration of an epoch")} <= set(drawn)
    assert not any("Teacher" in group for group, _ in drawn)
    assert all(len(line.epochs) for panel in drawn.values() for line in panel.lines)


def test_durations_are_end_minus_start(tmp_path):
    panel = panels([training_that_logged(tmp_path)])["Course", "Duration of an epoch"]
    np.testing.assert_allclose(panel.lines[0].values, 30.0)


def test_dice_is_drawn_organ_by_organ_without_those_never_seen(tmp_path):
    drawn = panels([training_that_logged(tmp_path)])
    assert [panel for group, panel in drawn if group == "Pseudo Dice, organ by organ"] == list(ORGANS[:2])
    line = drawn["Pseudo Dice, organ by organ", "liver"].lines[0]
    np.testing.assert_allclose(line.values, [0.1, 0.2, 0.3, 0.4], rtol=1e-6)


def test_keys_nobody_has_heard_of_are_drawn_too(tmp_path):
    training = training_that_logged(
        tmp_path, ema_distance=[1.0, 2.0, NAN, 4.0], uncertainty_per_organ=[[0.1, 0.2, 0.3]] * 4, words=["x"] * 4
    )
    drawn = panels([training])
    np.testing.assert_array_equal(drawn["Other logged values", "Ema distance"].lines[0].epochs, [0, 1, 3])
    assert ("Uncertainty per organ, organ by organ", "lesion") in drawn
    assert ("Other logged values", "Words") not in drawn


def test_report_stands_beside_the_student_in_every_panel(tmp_path):
    report = [[0.5, 0.7, NAN], [NAN] * 3, [0.9, 0.9, NAN], [NAN] * 3]
    training = training_that_logged(tmp_path, report_fused=report, report_student=report)
    panel = panels([training])["Teacher report over time", "Fused"]
    assert [line.dash for line in panel.lines] == [0, 1]
    np.testing.assert_allclose(panel.lines[0].values, [0.6, 0.9])
    epoch, dice = newest_report(training)
    assert epoch == 2
    assert dice["fused"][:2] == [0.9, 0.9]


def test_trainings_side_by_side_share_panels_and_keep_their_index(tmp_path):
    trainings = [training_that_logged(tmp_path, "a"), training_that_logged(tmp_path, "b", consistency_losses=[1.0] * 4)]
    drawn = panels(trainings)
    assert {line.training for line in drawn["Losses", "Loss"].lines} == {0, 1}
    only = drawn["Losses", "Consistency loss, unlabelled patches"]
    assert [line.training for line in only.lines] == [1]


@pytest.mark.parametrize(("organ", "expected"), [(None, [2.0, 5.0]), (1, [3.0])])
def test_what_is_not_finite_is_left_out(organ, expected):
    _, values = over_epochs([[1.0, 3.0], [5.0, NAN], [float("inf"), NAN], "nothing"], organ)
    np.testing.assert_array_equal(values, expected)
