import csv
import json
from pathlib import Path

import numpy as np
import pytest
from evaluated_folders import DATASET, write_study
from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder, load_summary_json
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunetv2_muduo.evaluation.differences import paired_difference
from nnunetv2_muduo.evaluation.folders import evaluate_folders
from nnunetv2_muduo.evaluation.result_files import write_differences, write_evaluation
from nnunetv2_muduo.evaluation.task import task_of

REGIONS = {**DATASET, "labels": {"background": 0, "abdomen": [1, 2], "spleen": 2, "lesion": 3}}


@pytest.mark.parametrize("dataset", [DATASET, REGIONS], ids=["labels", "regions"])
def test_summary_has_nnunets_layout_and_numbers(tmp_path: Path, dataset: dict):
    reference, folders = write_study(tmp_path)
    task = task_of(dataset)
    write_evaluation(tmp_path / "out", evaluate_folders(reference, folders, task=task)["poor"])
    keys = [labels[0] if len(labels) == 1 else labels for labels in task.organs.values()]
    stock = compute_metrics_on_folder(
        str(reference), str(folders["poor"]), None, SimpleITKIO(), ".nii.gz", keys, num_processes=1
    )
    ours = load_summary_json(str(tmp_path / "out" / "summary.json"))
    by_file = {Path(case["prediction_file"]).name: case["metrics"] for case in ours["metric_per_case"]}
    assert len(by_file) == len(stock["metric_per_case"]) == 3
    for case in stock["metric_per_case"]:
        for key in keys:
            assert_agree(by_file[Path(case["prediction_file"]).name][key], case["metrics"][key])
    for key in keys:
        assert_agree(ours["mean"][key], stock["mean"][key])
    assert_agree(ours["foreground_mean"], stock["foreground_mean"])


def assert_agree(ours: dict, stock: dict) -> None:
    assert {name: ours[name] for name in stock} == pytest.approx(stock, nan_ok=True)


def test_rows_have_every_organ_of_every_case(tmp_path: Path):
    reference, folders = write_study(tmp_path)
    task = task_of(DATASET, lesions=["lesion"])
    write_evaluation(tmp_path / "out", evaluate_folders(reference, folders, task=task)["poor"])
    with (tmp_path / "out" / "metrics.csv").open(encoding="utf-8") as file:
        rows = {(row["case"], row["organ"]): row for row in csv.DictReader(file)}
    assert len(rows) == 9
    missed = rows["b", "spleen"]
    assert (missed["status"], missed["HD95"], missed["RAVD"], missed["FPV_ml"]) == ("missed", "inf", "1.0", "")
    assert float(rows["b", "lesion"]["FNV_ml"]) == 0


def test_lesion_volumes_are_left_out_where_nothing_is_a_lesion(tmp_path: Path):
    reference, folders = write_study(tmp_path)
    write_evaluation(tmp_path / "out", evaluate_folders(reference, folders, task=task_of(DATASET))["poor"])
    assert "FPV" not in (tmp_path / "out" / "metrics.csv").read_text()
    assert "FPV" not in (tmp_path / "out" / "summary.json").read_text()
    assert "FPV" not in (tmp_path / "out" / "summary.md").read_text()


def test_differences_are_written_organ_by_organ(tmp_path: Path):
    found = evaluate_folders(*write_study(tmp_path), task=task_of(DATASET))
    write_differences(
        tmp_path / "d.json", [paired_difference(found["poor"], found["exact"], metric="Dice", seed=0)], seed=0
    )
    rows = {row["organ"]: row for row in json.loads((tmp_path / "d.json").read_text())["differences"]}
    assert rows["liver"]["mean"] == rows["liver"]["low"] == rows["liver"]["high"] == pytest.approx(-0.25)
    assert (rows["spleen"]["lower"], rows["spleen"]["higher"], rows["spleen"]["cases"]) == (1, 0, 3)
    assert rows["mean"]["mean"] == pytest.approx(np.mean([-0.25, -1 / 3, 0]))
