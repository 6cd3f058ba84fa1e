"""A worker that is killed, as the system does where memory runs out: one sentence, and what is finished stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_scenarios import SCENARIOS
from fault_trials import Bench

from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES

pytestmark = [
    pytest.mark.slow,  # each worker imports everything anew
    pytest.mark.forks,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for workers in /proc"),
]
COMMANDS = {
    "preprocess-unlabelled": ("-d", "21"),
    "harmonise": ("hospital", "-d", "Dataset230_PETCT", "--preset", "autopet", "--labels", "lesion=1"),
    "evaluate": ("reference", "exact", "--compare", "poor", "-o", "out"),
}
_MOST_SECONDS = 600


def a_worker_of(process: subprocess.Popen) -> int:
    """The first spawned worker, as soon as there is one."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    end = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < end and process.poll() is None:
        for child in children.read_text().split():
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text():
                return int(child)
        time.sleep(0.02)
    raise AssertionError("no worker was seen")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_worker_is_one_sentence_and_a_second_run_comes_to_the_result(name: str, tmp_path: Path):
    bench = Bench(SCENARIOS[name](), tmp_path / "bench", has_disk=False)
    bench.begin()
    program = str(Path(sys.executable).with_name("muduo"))
    environment = {**os.environ, **{variable: str(bench.folder / variable) for variable in FOLDER_VARIABLES}}
    with subprocess.Popen(
        [program, name, *COMMANDS[name], "-np", "2"],
        cwd=bench.folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8",
    ) as process:  # fmt: skip
        os.kill(a_worker_of(process), signal.SIGKILL)
        told = process.communicate(timeout=_MOST_SECONDS)[1]
    assert process.returncode == 2, told
    assert "ERROR: A worker process died" in told
    assert "(-np)" in told
    assert "Traceback" not in told
    assert bench.run().code == 0
    assert bench.result() == bench.reference.result
