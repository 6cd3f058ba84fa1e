"""Malformed inputs end in a result or in one sentence: a small sample of what benchmarks/malformed_inputs.py draws."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = 28

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


@pytest.mark.skipif(find_spec("pydicom") is None, reason="DICOM scans are among the inputs, and need pydicom")
def test_no_malformed_input_of_a_sample_ends_in_anything_but_a_result_or_a_sentence():
    done = subprocess.run(  # a process of its own: it forks, which threads that other tests have started do not survive
        [sys.executable, str(ROOT / "benchmarks" / "malformed_inputs.py"), "--sample", str(SAMPLE)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["inputs"] == found["ways_in"] == SAMPLE
    assert sum(outcomes.get("refused", 0) for outcomes in found["outcomes"].values()) > SAMPLE / 5
    assert done.returncode == 0
