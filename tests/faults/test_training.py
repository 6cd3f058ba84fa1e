"""A training that is killed anywhere goes on with --c, and its curves join."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_trainings import STUDENT, lambda_of_the_formula, training
from fault_trials import Bench, Fault, own_disk, trial

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("faults") / "disk"
    with own_disk(folder) as has_disk:
        yield Bench(training(), folder, has_disk=has_disk, twice=False)


def event(bench: Bench, part: str, *, number: int = 0, kind: str = "os.rename") -> int:
    """Number of the event that gives a file of such a path its name."""
    found = [at for at, e in enumerate(bench.reference.events, 1) if part in e.path and e.kind == kind]
    return found[number]


def test_lambda_is_that_of_the_formula(bench: Bench):
    curves = next(text for name, text in bench.reference.result.items() if f"{STUDENT}__" in name and ".pth" in name)
    assert json.loads(curves)["lambda"] == pytest.approx(lambda_of_the_formula())


@pytest.mark.parametrize(
    ("part", "number", "kind"),
    [
        ("_unlabelled/", 4, "kill"),
        ("Prompt__nnUNetPlans__3d_fullres/fold_0/checkpoint_latest.pth", 0, "torn"),
        ("Prompt__nnUNetPlans__3d_fullres/fold_0/checkpoint_final.pth", 0, "kill"),
        ("_teacher_cache/", -1, "kill"),
        (f"{STUDENT}__nnUNetPlans__3d_fullres/fold_0/checkpoint_latest.pth", 1, "torn"),
        (f"{STUDENT}__nnUNetPlans__3d_fullres/fold_0/checkpoint_final.pth", 0, "torn"),
    ],
)
def test_a_killed_training_goes_on(bench: Bench, part: str, number: int, kind: str):
    assert trial(bench, Fault(kind, at=event(bench, part, number=number), share=0.5)) == []


@pytest.mark.parametrize(
    "part", [f"{STUDENT}__*/fold_0/checkpoint_final.pth", "*Prompt__*/fold_0/checkpoint_final.pth"]
)
def test_a_damaged_checkpoint_is_one_sentence(bench: Bench, part: str):
    (file,) = Path(bench.folder).glob(f"nnUNet_results/*/{part}") if bench.folder.exists() else ()
    assert trial(bench, Fault("damaged", share=0.7, file=file.relative_to(bench.folder).as_posix())) == []


def test_a_labelled_case_that_is_cut_short_is_one_sentence(bench: Bench):
    for file in bench.scenario.inputs:
        (first, *_) = sorted(bench.template.glob(file))
        name = first.relative_to(bench.template).as_posix()
        assert trial(bench, Fault("cut input", share=0.7, file=name)) == []


def test_a_disk_that_fills_up_while_a_checkpoint_is_written_is_one_sentence(bench: Bench):
    if not bench.has_disk:
        pytest.skip("needs an account that may mount")
    at = event(bench, f"{STUDENT}__nnUNetPlans__3d_fullres/fold_0/.partial-", number=1, kind="write")
    assert trial(bench, Fault("full", at=at, share=0.3)) == []
