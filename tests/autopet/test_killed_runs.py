"""A run that is killed leaves nothing that a restart mistakes for good."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from autopet_folders import STUDY, write_release

from nnunetv2_muduo.autopet.plan import Wishes, plan_conversion
from nnunetv2_muduo.autopet.recipe import convert
from nnunetv2_muduo.files import PARTIAL_PREFIX, sha256_of
from nnunetv2_muduo.transfer.few_shot import Amount

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process"),
    pytest.mark.forks,
]
_STEPS = ("replace", "symlink", "mkdir", "unlink")


def make(folder: Path, *, copy: bool) -> None:
    wishes = Wishes(
        (folder / "source",), "lesions", labelled=Amount(2), validation=Amount(1), test=Amount(1), copy=copy
    )
    dataset = folder / "Dataset221_AutoPET"
    plan = plan_conversion(wishes, dataset, log=lambda _: None)
    convert(plan, preprocessed=folder / "preprocessed", log=lambda _: None)


def killed(work: Callable[[], None], *, after: int) -> bool:
    """Do it in a process that is killed before a step that changes the disk; whether it came to that."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(step):
            def change(*arguments, **options):
                nonlocal count
                count += 1
                if count > after:
                    os.kill(os.getpid(), signal.SIGKILL)
                return step(*arguments, **options)

            return change

        for name in _STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def content(dataset: Path) -> dict[str, str]:
    """File -> hash of what it holds; without the record of options and paths, which is the same text anyhow."""
    return {path.relative_to(dataset).as_posix(): sha256_of(path) for path in dataset.rglob("*") if path.is_file()}


@pytest.mark.parametrize("copy", [False, True])
def test_restarts_come_to_what_one_run_comes_to(tmp_path, copy):
    write_release(tmp_path / "source", {str(number): [STUDY] for number in range(6)})
    dataset = tmp_path / "Dataset221_AutoPET"
    make(tmp_path, copy=copy)
    whole = content(dataset)
    dataset.rename(tmp_path / "whole")
    kills = 0
    while killed(lambda: make(tmp_path, copy=copy), after=7 + kills):
        kills += 1
        if (dataset / "dataset.json").exists():  # killed with the last file in place
            now = {name: sha256 for name, sha256 in content(dataset).items() if PARTIAL_PREFIX not in name}
            assert now == whole
        for record in (dataset / "autopet").glob("[!.]*.json"):
            told = json.loads(record.read_text())
            for file in told.get("files", ()):
                assert sha256_of(dataset / file) == whole[file]
    assert kills > 4
    assert content(dataset) == whole
