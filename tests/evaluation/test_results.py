from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluated_folders import DATASET, reference_labels, write_labels, write_study

from nnunetv2_muduo.evaluation.folders import evaluate_folders
from nnunetv2_muduo.evaluation.result_tables import results_table
from nnunetv2_muduo.evaluation.results import Evaluation
from nnunetv2_muduo.evaluation.task import task_of

DIAGONAL = np.linalg.norm([10 * 3, 12 * 2, 14 * 2])


@pytest.fixture
def poor(tmp_path: Path) -> Evaluation:
    reference, folders = write_study(tmp_path)
    return evaluate_folders(reference, {"poor": folders["poor"]}, task=task_of(DATASET))["poor"]


def test_missed_organ_counts_with_the_diagonal(poor):
    assert poor.values("HD95")[:, 1] == pytest.approx([0, DIAGONAL, 0])
    assert poor.means("ASD")[1] == pytest.approx(DIAGONAL / 3)
    assert poor.means("Dice")[1] == pytest.approx(2 / 3)


def test_missed_organ_can_be_left_out_of_distances_but_not_of_dice(poor):
    lenient = replace(poor, missed="exclude")
    assert np.isnan(lenient.values("HD95")[:, 1]).tolist() == [False, True, False]
    assert lenient.means("HD95")[1] == 0
    assert lenient.means("Dice")[1] == pytest.approx(2 / 3)
    assert lenient.counts("missed").tolist() == [0, 1, 0]


def test_organ_absent_in_a_case_does_not_count_there(tmp_path: Path):
    reference, folders = write_study(tmp_path)
    without = np.where(reference_labels() == 2, 0, reference_labels()).astype(np.uint8)
    for folder in (reference, folders["exact"]):
        write_labels(folder, "b", without)
    found = evaluate_folders(reference, {"exact": folders["exact"]}, task=task_of(DATASET))["exact"]
    assert found.counts("absent").tolist() == [0, 1, 0]
    assert np.isnan(found.values("Dice")[1, 1])
    assert found.means("Dice").tolist() == [1, 1, 1]


def test_hallucinated_organ_is_no_success(tmp_path: Path):
    reference, folders = write_study(tmp_path)
    without = np.where(reference_labels() == 2, 0, reference_labels()).astype(np.uint8)
    write_labels(reference, "b", without)
    found = evaluate_folders(reference, {"exact": folders["exact"]}, task=task_of(DATASET))["exact"]
    assert found.counts("hallucinated").tolist() == [0, 1, 0]
    assert found.values("Dice")[1, 1] == 0
    assert found.values("HD95")[1, 1] == pytest.approx(DIAGONAL)
    assert np.isnan(found.values("RAVD")[1, 1])


def test_spread_is_over_cases(poor):
    assert poor.deviations("Dice") == pytest.approx([0, np.std([1, 0, 1], ddof=1), 0])
    assert poor.foreground_mean("Dice") == pytest.approx((0.75 + 2 / 3 + 1) / 3)
    assert poor.foreground_deviation("Dice") == pytest.approx(np.std([2.75 / 3, 1.75 / 3, 2.75 / 3], ddof=1))


def test_table_shows_means_spread_and_what_was_missed(poor):
    rows = {line.split("|")[1].strip(): line.split("|") for line in results_table(poor).splitlines() if "|" in line}
    assert [cell.strip() for cell in rows["spleen"][2:6]] == ["2", "1", "0", "0.667 ± 0.577"]
    assert "diagonal of the image" in results_table(poor)
    assert "left out of HD95 and ASD" in results_table(replace(poor, missed="exclude"))
