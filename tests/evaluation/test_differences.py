from pathlib import Path

import numpy as np
import pytest
from evaluated_folders import DATASET, write_study

from nnunetv2_muduo.evaluation.differences import paired_difference
from nnunetv2_muduo.evaluation.folders import evaluate_folders
from nnunetv2_muduo.evaluation.result_tables import difference_tables
from nnunetv2_muduo.evaluation.task import task_of


def test_method_against_itself_differs_by_nothing(tmp_path: Path):
    found = evaluate_folders(*write_study(tmp_path), task=task_of(DATASET))["poor"]
    for metric in ("Dice", "HD95", "ASD", "RAVD"):
        interval = paired_difference(found, found, metric=metric, seed=0).interval
        assert np.concatenate((interval.mean, interval.low, interval.high)) == pytest.approx(np.zeros(12))


def test_method_that_misses_an_organ_is_worse_in_dice_and_in_distance(tmp_path: Path):
    found = evaluate_folders(*write_study(tmp_path), task=task_of(DATASET))
    assert paired_difference(found["poor"], found["exact"], metric="Dice", seed=0).interval.mean[1] < 0
    assert paired_difference(found["poor"], found["exact"], metric="HD95", seed=0).interval.mean[1] > 0


def test_table_says_which_method_is_subtracted(tmp_path: Path):
    found = evaluate_folders(*write_study(tmp_path), task=task_of(DATASET))
    table = difference_tables([paired_difference(found["poor"], found["exact"], metric="Dice", seed=0)])
    assert table.startswith("poor minus exact")
    assert "-0.250 [-0.250, -0.250] (3)" in table
