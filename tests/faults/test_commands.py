"""A bounded, always equal sample of the faults that `benchmarks/faults.py` draws by the hundred."""

import os
import random
import zlib
from pathlib import Path

import pytest
from fault_scenarios import SCENARIOS
from fault_trials import KINDS, Bench, draw_faults, trial
from small_disk import own_disk

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes"),
    pytest.mark.forks,
]
QUICK = ("weights", "plan", "harmonise", "evaluate", "preprocess-unlabelled", "export", "import-mae", "uncrop")
SLOW = tuple(name for name in SCENARIOS if name not in QUICK)


def strike(name: str, folder: Path, *, faults: int) -> None:
    with own_disk(folder / "disk") as has_disk:
        bench = Bench(SCENARIOS[name](), folder / "disk", has_disk=has_disk)
        drawn = draw_faults(bench, faults, kinds=KINDS, rng=random.Random(zlib.crc32(name.encode())))
        problems = {fault: found for fault in drawn if (found := trial(bench, fault))}
    assert len(drawn) == faults
    assert not problems


@pytest.mark.parametrize("name", QUICK)
def test_after_a_fault_a_second_run_comes_to_what_one_run_comes_to(name: str, tmp_path: Path):
    strike(name, tmp_path, faults=5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_so_it_does_where_a_run_takes_longer(name: str, tmp_path: Path):
    strike(name, tmp_path, faults=len(KINDS))
