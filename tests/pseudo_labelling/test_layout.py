"""Pseudo-labels laid out as an nnU-Net dataset."""

import csv
import json

import numpy as np
import pytest
from pseudo_project import CASES, DROP_ALL, NEW, PseudoProject, array, lay_out, organs, write
from stub_teachers import EchoTeacher

from nnunetv2_muduo.pseudo_labelling import recipe
from nnunetv2_muduo.pseudo_labelling.claims import Claims
from nnunetv2_muduo.pseudo_labelling.layout import masked_labels

KEEP_ALL = ("--min-iou", "0", "--min-prompt-iou", "0")
ECHO = (*KEEP_ALL, "--pet-teacher", "none")


def test_ignored_is_what_a_dropped_organ_claims_and_what_the_teachers_dispute():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, (6, 7, 8)).astype(np.uint8)
    agreement = rng.integers(0, 101, labels.shape).astype(np.uint8)
    claimed = {organ: rng.random((3, 7, 4)) > 0.5 for organ in (1, 2)}
    part = (slice(2, 5), slice(0, 7), slice(4, 8))
    claims = Claims({})
    for organ, mask in claimed.items():
        claims.add(organ, part, mask)
    found = masked_labels(labels, agreement, claims, dropped=[2], ignore=4)
    for voxel in np.ndindex(labels.shape):
        inside = 2 <= voxel[0] < 5 and voxel[2] >= 4
        dropped = labels[voxel] == 2 or (inside and claimed[2][voxel[0] - 2, voxel[1], voxel[2] - 4])
        assert found[voxel] == (4 if dropped or agreement[voxel] < 50 else labels[voxel])


def test_dataset_holds_both_kinds_of_cases_and_the_highest_label_is_ignored(project: PseudoProject):
    assert lay_out(project) == 0
    folder = project.raw.with_name(NEW)
    description = json.loads((folder / "dataset.json").read_text())
    assert description["labels"] == {"background": 0, "liver": 1, "spleen": 2, "bladder": 3, "ignore": 4}
    assert description["numTraining"] == 4
    cases = {*CASES, "labelled_0", "labelled_1"}
    assert {file.name.removesuffix(".nii.gz") for file in (folder / "labelsTr").iterdir()} == cases
    for case in cases:
        scan = array(folder / "imagesTr" / f"{case}_0001.nii.gz")
        source = "imagesTr" if case.startswith("labelled") else "imagesUn"
        np.testing.assert_array_equal(scan, array(project.raw / source / f"{case}_0001.nii.gz"))
    np.testing.assert_array_equal(array(folder / "labelsTr" / "labelled_0.nii.gz"), organs())


def test_dropped_organs_prompt_carries_the_ignore_label_and_a_kept_ones_does_not(
    project: PseudoProject, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recipe, "load_teacher", lambda name, shown: EchoTeacher())  # untrained ones outline nothing
    lay_out(project, *DROP_ALL)
    folder = project.raw.with_name(NEW)
    dropped = array(folder / "labelsTr" / f"{CASES[0]}.nii.gz")
    assert (dropped[organs() > 0] == 4).all()
    assert set(np.unique(dropped)) <= {0, 4}
    lay_out(project, *KEEP_ALL)
    kept = array(folder / "labelsTr" / f"{CASES[0]}.nii.gz")
    labels, agreement = (array(project.out / part / f"{CASES[0]}.nii.gz") for part in ("labels", "agreement"))
    certain = agreement >= 50
    assert (certain & (labels > 0)).any()
    np.testing.assert_array_equal(kept, np.where(certain, labels, 4))
    assert (kept == 4).sum() < (dropped == 4).sum()


@pytest.fixture
def lacking(project: PseudoProject, monkeypatch: pytest.MonkeyPatch) -> str:
    """A teacher that outlines what it is shown, and a first case whose prompts miss the spleen."""
    monkeypatch.setattr(recipe, "load_teacher", lambda name, shown: EchoTeacher())
    write(np.where(organs() == 1, 1, 0).astype(np.uint8), project.predictions / f"{CASES[0]}.nii.gz")
    return CASES[0]


def laid_out(project: PseudoProject) -> dict[str, np.ndarray]:
    folder = project.raw.with_name(NEW) / "labelsTr"
    return {case: array(folder / f"{case}.nii.gz") for case in CASES if (folder / f"{case}.nii.gz").exists()}


def test_case_whose_prompts_miss_a_required_organ_teaches_no_background(project: PseudoProject, lacking: str, capsys):
    lay_out(project, *ECHO, "--require-organs", "none")
    before = laid_out(project)
    assert (before[lacking] == 0).any()
    lay_out(project, *ECHO, "--require-organs", "spleen")
    after = laid_out(project)
    np.testing.assert_array_equal(after[lacking], np.where(before[lacking] == 0, 4, before[lacking]))
    assert (after[lacking] == 1).any()
    np.testing.assert_array_equal(after[CASES[1]], before[CASES[1]])
    said = capsys.readouterr().out
    assert "missing in 1 case(s)" in said
    assert "do not: spleen (1)" in said
    rows = list(csv.DictReader((project.out / "quality.csv").open()))
    assert [(row["case"], row["organ"]) for row in rows if row["suggestion"] == "missing"] == [(lacking, "spleen")]


def test_incomplete_case_is_left_out_or_kept_as_wished(project: PseudoProject, lacking: str, capsys):
    lay_out(project, *ECHO, "--require-organs", "spleen", "--incomplete", "leave-out")
    folder = project.raw.with_name(NEW)
    assert set(laid_out(project)) == {CASES[1]}
    assert not (folder / "imagesTr" / f"{lacking}_0000.nii.gz").exists()
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 3
    assert f"Left out: {lacking}" in capsys.readouterr().out
    lay_out(project, *ECHO, "--require-organs", "spleen", "--incomplete", "keep")
    assert (laid_out(project)[lacking] == 0).any()


def test_dataset_that_would_teach_no_background_is_refused(project: PseudoProject, lacking: str, capsys):
    required = ("--require-organs", "bladder")  # which no case has
    assert lay_out(project, *ECHO, *required) == 0  # the labelled cases teach it
    for more in (("--without-labelled",), ("--incomplete", "leave-out")):
        assert lay_out(project, *ECHO, *required, *more) == 2
        assert "nothing would teach the background" in capsys.readouterr().err
    assert lay_out(project, *ECHO, *required, "--without-labelled", "--incomplete", "keep") == 0


def test_case_with_nothing_left_to_learn_is_left_out(project: PseudoProject, lacking: str, capsys):
    write(np.zeros_like(organs()), project.predictions / f"{lacking}.nii.gz")
    assert lay_out(project, *ECHO, "--require-organs", "spleen") == 0
    assert set(laid_out(project)) == {CASES[1]}
    assert f"Left out: {lacking}" in capsys.readouterr().out
