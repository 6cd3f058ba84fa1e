from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluated_folders import DATASET, write_labels, write_study

from nnunetv2_muduo.evaluation.differences import paired_difference
from nnunetv2_muduo.evaluation.folders import evaluate_folders
from nnunetv2_muduo.evaluation.result_tables import difference_tables
from nnunetv2_muduo.evaluation.results import Evaluation
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


@pytest.fixture
def made_up(tmp_path: Path) -> dict[str, Evaluation]:
    """Two patients with a lesion and two without: "careful" misses half of each, "wild" sees one too many in all."""
    for number in range(4):
        labels = np.zeros((10, 12, 14), np.uint8)
        if number < 2:
            labels[3:7, 3:7, 3:7] = 3
        careful, wild = labels.copy(), labels.copy()
        careful[5:] = 0
        wild[8:, 10:, 12:] = 3
        for name, written in (("reference", labels), ("careful", careful), ("wild", wild)):
            write_labels(tmp_path / name, str(number), written)
    folders = {name: tmp_path / name for name in ("careful", "wild")}
    return evaluate_folders(tmp_path / "reference", folders, task=task_of(DATASET, organs=["lesion"]))


def test_who_makes_up_an_organ_is_worse_than_who_rightly_sees_none(made_up: dict[str, Evaluation]):
    careful, wild = made_up["careful"], made_up["wild"]
    dice = paired_difference(wild, careful, metric="Dice", seed=0)
    sick = (wild.values("Dice") - careful.values("Dice"))[:2, 0]
    assert (sick > 0).all()
    assert dice.interval.mean[0] == pytest.approx((sick.sum() - 2) / 4)
    assert dice.interval.cases.tolist() == [4, 4]
    distance = paired_difference(wild, careful, metric="HD95", seed=0)
    assert distance.higher.tolist() == [4, 4]
    assert distance.interval.mean[0] > 0
    assert paired_difference(careful, wild, metric="Dice", seed=0).interval.mean[0] == -dice.interval.mean[0]


def test_distances_of_what_is_made_up_can_be_left_out(made_up: dict[str, Evaluation]):
    careful, wild = (replace(found, missed="exclude") for found in made_up.values())
    assert paired_difference(wild, careful, metric="HD95", seed=0).interval.cases.tolist() == [2, 2]


def test_table_says_which_method_is_subtracted(tmp_path: Path):
    found = evaluate_folders(*write_study(tmp_path), task=task_of(DATASET))
    table = difference_tables([paired_difference(found["poor"], found["exact"], metric="Dice", seed=0)])
    assert table.startswith("poor minus exact")
    assert "-0.250 [-0.250, -0.250] (3)" in table
