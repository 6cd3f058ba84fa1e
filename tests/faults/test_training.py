"""A training that is killed anywhere goes on with --c, and its curves join."""

import json
import os
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest
from fault_trainings import GENERATOR, STUDENT, lambda_of_the_formula, training
from fault_trials import Bench, Fault, trial
from small_disk import own_disk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes"),
    pytest.mark.forks,
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faults") / "disk"
    with own_disk(folder) as has_disk:
        yield Bench(training(), folder, has_disk=has_disk, twice=False)


def event(bench: Bench, path: str, *, number: int = 0, kind: str = "os.rename") -> int:
    """Of the events that give a file of such a path its name, the first or another, counted among all events."""
    found = [at for at, e in enumerate(bench.reference.events, 1) if fnmatch(e.path, path) and e.kind == kind]
    return found[number]


def checkpoint_of(bench: Bench, trainer: str) -> str:
    (found,) = (name for name in bench.reference.result if f"/{trainer}__" in name and name.endswith(".pth"))
    return found


def test_lambda_is_that_of_the_formula(bench: Bench):
    curves = json.loads(bench.reference.result[checkpoint_of(bench, STUDENT)])
    assert curves["lambda"] == pytest.approx(lambda_of_the_formula())


@pytest.mark.parametrize(
    ("path", "number", "kind"),
    [
        ("*_unlabelled/*", 4, "kill"),
        (f"*{GENERATOR}__*/checkpoint_latest.pth", 0, "torn"),
        (f"*{GENERATOR}__*/checkpoint_final.pth", 0, "kill"),
        ("*_teacher_cache/*", -1, "kill"),
        (f"*{STUDENT}__*/checkpoint_latest.pth", 1, "torn"),
        (f"*{STUDENT}__*/checkpoint_final.pth", 0, "torn"),
    ],
)
def test_a_killed_training_goes_on(bench: Bench, path: str, number: int, kind: str):
    assert trial(bench, Fault(kind, at=event(bench, path, number=number), share=0.5)) == []


@pytest.mark.parametrize("trainer", [STUDENT, GENERATOR])
def test_a_damaged_checkpoint_is_one_sentence(bench: Bench, trainer: str):
    assert trial(bench, Fault("damaged", share=0.7, file=checkpoint_of(bench, trainer))) == []


@pytest.mark.parametrize("ending", ["b2nd", "pkl"])
def test_a_labelled_case_that_is_cut_short_is_one_sentence(bench: Bench, ending: str):
    file = min(bench.template.glob(f"nnUNet_preprocessed/*/nnUNetPlans_3d_fullres/*.{ending}"))
    assert trial(bench, Fault("cut input", share=0.7, file=file.relative_to(bench.template).as_posix())) == []


def test_a_disk_that_fills_up_while_a_checkpoint_is_written_is_one_sentence(bench: Bench):
    if not bench.has_disk:
        pytest.skip("needs an account that may mount")
    at = event(bench, f"*{STUDENT}__*/.partial-*/checkpoint_latest.pth", number=1, kind="write")
    assert trial(bench, Fault("full", at=at, share=0.3)) == []
