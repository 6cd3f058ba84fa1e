"""The benchmark itself, from scans to the table, in its smallest size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "label_efficiency.py"
METHODS = ("supervised", "muduo", "self-training", "all-labels")


@pytest.mark.slow
def test_the_smallest_size_goes_through_and_a_repetition_takes_what_is_finished(shared, tmp_path):
    command = [sys.executable, str(BENCHMARK), "--size", "smoke", "--anatomy", str(shared / "anatomy")]
    command += ["--out", str(tmp_path / "labels"), "--results", str(tmp_path)]
    command += ["--seeds", "0", "--budgets", "2", "--methods", *METHODS]
    subprocess.run(command, check=True, timeout=1000)
    results = tmp_path / "label_efficiency_smoke.json"
    runs = {run["method"]: run for run in json.loads(results.read_text())["runs"]}
    assert set(runs) == set(METHODS)
    for run in runs.values():
        assert len(run["cases"]) == 12
        assert all(len(scores) == 12 for scores in run["dice"].values())
    known = tmp_path / "labels" / "smoke" / "nnUNet_preprocessed"
    splits = {path.parent.name: json.loads(path.read_text()) for path in known.glob("*/splits_final.json")}
    predicted, true = (splits[name][0] for name in ("Dataset800_SelfTraining", "Dataset900_AllLabels"))
    assert len(predicted["train"]) == len(true["train"]) == 2 + 30

    (tmp_path / "labels" / "smoke" / "runs" / "muduo_2_0.json").unlink()  # adopted from the results
    again = subprocess.run(command, check=True, timeout=300, capture_output=True, text=True)
    assert "after" not in again.stdout  # what a finished training prints
    assert {run["method"]: run for run in json.loads(results.read_text())["runs"]} == runs
