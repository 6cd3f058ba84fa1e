"""What the sandbox tells of the end of a process, and that judging calls each bad end by its name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SCRIPT = """
import os, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from sandbox import run_aside

def refuse():
    print("ERROR: The thing is wrong; correct it.", file=sys.stderr)
    return 2

def hold():
    return len(bytearray(300 << 20)) * 0

acts = {
    "done": lambda: 0,
    "refused": refuse,
    "raised": lambda: 1 / 0,
    "crashed": lambda: os.abort(),
    "spinning": lambda: [None for _ in iter(int, 1)] and 0,
    "greedy": lambda: len(bytearray(8 << 30)) * 0,
    "large": hold,
}
ended = run_aside(acts[sys.argv[1]], Path("log"), limit_in_s=1, most_bytes=1 << 30)
print(ended.code, ended.signal, ended.timed_out, ended.grown_in_bytes > 200 << 20, "ERROR" in ended.printed)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks, and reads /proc")


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("done", "0 None False False False"),
        ("refused", "2 None False False True"),
        ("raised", "70 None False False False"),
        ("crashed", "None 6 False False False"),
        ("greedy", "70 None False False False"),
        ("large", "0 None False True False"),
    ],
)
def test_the_end_of_a_process_is_told(tmp_path: Path, act: str, told: str):
    assert outcome(tmp_path, act) == told


def test_a_process_that_does_not_end_is_ended(tmp_path: Path):
    assert outcome(tmp_path, "spinning").split()[2] == "True"


def outcome(folder: Path, act: str) -> str:
    """In a process of its own, as forks of one with threads may hang."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, act, str(HERE)], cwd=folder, capture_output=True, text=True, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
