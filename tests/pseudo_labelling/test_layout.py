"""Pseudo-labels laid out as an nnU-Net dataset."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pseudo_project import PseudoProject, organs, write, write_project, write_scan
from stub_teachers import EchoTeacher

from nnunetv2_muduo.cli import main
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.pseudo_labelling import recipe
from nnunetv2_muduo.pseudo_labelling.claims import Claims
from nnunetv2_muduo.pseudo_labelling.layout import dataset_name, masked_labels

CASES = ("pat 0.v1", "pat 1.v1")
NEW = "Dataset022_Better"
DROP_ALL = ("--min-iou", "1", "--min-prompt-iou", "1")
KEEP_ALL = ("--min-iou", "0", "--min-prompt-iou", "0")
ECHO = (*KEEP_ALL, "--pet-teacher", "none")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PseudoProject:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("MUDUO_WEIGHTS", str(tmp_path / "weights"))
    return write_project(tmp_path)


def lay_out(project: PseudoProject, *more: str, name: str = NEW) -> int:
    return main(project.command("--as-labels", name, *more))


def array(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def flat(capsys: pytest.CaptureFixture) -> str:
    return " ".join(capsys.readouterr().err.split())


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


def test_images_are_linked_or_copied(project: PseudoProject):
    lay_out(project)
    image = project.raw.with_name(NEW) / "imagesTr" / f"{CASES[0]}_0000.nii.gz"
    assert image.is_symlink()
    lay_out(project, "--copy")
    assert not image.is_symlink()
    assert image.read_bytes() == (project.raw / "imagesUn" / image.name).read_bytes()


def test_labelled_cases_can_be_left_out(project: PseudoProject):
    lay_out(project, "--without-labelled")
    folder = project.raw.with_name(NEW)
    assert len(list((folder / "labelsTr").iterdir())) == 2
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 2


def test_folds_validate_on_the_sources_labelled_cases_alone(project: PseudoProject, tmp_path: Path):
    splits = tmp_path / "nnUNet_preprocessed" / project.raw.name / "splits_final.json"
    splits.parent.mkdir(parents=True)
    folds = [{"train": ["labelled_0"], "val": ["labelled_1"]}, {"train": ["labelled_1"], "val": ["labelled_0"]}]
    splits.write_text(json.dumps(folds))
    lay_out(project)
    made = json.loads((tmp_path / "nnUNet_preprocessed" / NEW / "splits_final.json").read_text())
    assert made[0] == {"train": ["labelled_0", *CASES], "val": ["labelled_1"]}
    assert made[1] == {"train": ["labelled_1", *CASES], "val": ["labelled_0"]}


def test_without_folds_of_the_source_none_validates_on_pseudo_labels_either(project: PseudoProject, tmp_path: Path):
    (tmp_path / "nnUNet_preprocessed").mkdir(exist_ok=True)
    lay_out(project)
    made = json.loads((tmp_path / "nnUNet_preprocessed" / NEW / "splits_final.json").read_text())
    assert sorted(fold["val"] for fold in made) == [["labelled_0"], ["labelled_1"]]
    assert all(set(CASES) < set(fold["train"]) for fold in made)


def test_number_of_another_dataset_and_its_folder_are_refused(project: PseudoProject, capsys):
    assert lay_out(project, name="Dataset021_Other") == 2
    assert "taken by Dataset021_Tiny" in capsys.readouterr().err
    (project.raw.with_name(NEW) / "imagesTr").mkdir(parents=True)
    assert lay_out(project) == 2
    assert "was not made by this command" in capsys.readouterr().err


def test_same_name_of_a_labelled_and_a_pseudo_labelled_case_is_refused(project: PseudoProject, capsys):
    write_scan(project.raw / "imagesTr", CASES[0], seed=3)
    write(organs(), project.raw / "labelsTr" / f"{CASES[0]}.nii.gz")
    assert lay_out(project) == 2
    assert f"share the name(s) {CASES[0]}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["Dataset321_../../outside", "Dataset321_a/b", "Dataset321_a\\b", "/Dataset321_a"])
def test_a_name_that_leads_out_of_the_raw_folder_is_none(name: str):
    with pytest.raises(UserError, match="is no dataset"):
        dataset_name(name, "Dataset021_Tiny")


def test_number_alone_names_the_dataset_after_its_source(capsys):
    assert dataset_name("22", "Dataset021_Tiny") == "Dataset022_TinyPseudo"
    assert dataset_name(NEW, "Dataset021_Tiny") == NEW


def test_what_is_no_dataset_is_refused_before_anything_is_done(project: PseudoProject, capsys):
    assert lay_out(project, name="better") == 2
    assert "'better' is no dataset" in capsys.readouterr().err
    assert not project.out.exists()


def test_a_dataset_that_is_laid_out_again_is_no_dataset_until_it_is_whole(
    project: PseudoProject, monkeypatch: pytest.MonkeyPatch
):
    assert lay_out(project) == 0
    description = project.raw.with_name(NEW) / "dataset.json"
    assert description.is_file()

    def stop(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nnunetv2_muduo.pseudo_labelling.layout.place_images", stop)
    assert lay_out(project) == 130
    assert not description.exists()


def test_what_was_corrected_by_hand_is_replaced_on_demand_alone(project: PseudoProject, capsys):
    assert lay_out(project) == 0
    assert lay_out(project) == 0  # nothing was changed: again, say with other thresholds
    path = project.raw.with_name(NEW) / "labelsTr" / f"{CASES[0]}.nii.gz"
    before = array(path)
    assert before.any()
    write(np.zeros_like(organs()), path)
    corrected = path.read_bytes()
    assert lay_out(project) == 2
    assert f"1 file(s) of {path.parents[1]}, such as labelsTr/{path.name}, were added or changed" in flat(capsys)
    assert path.read_bytes() == corrected
    assert lay_out(project, "--overwrite") == 0
    np.testing.assert_array_equal(array(path), before)


def test_labels_corrected_in_the_source_are_taken_over(project: PseudoProject):
    assert lay_out(project) == 0
    write(np.zeros_like(organs()), project.raw / "labelsTr" / "labelled_0.nii.gz")
    assert lay_out(project) == 0
    assert not array(project.raw.with_name(NEW) / "labelsTr" / "labelled_0.nii.gz").any()


def test_an_own_case_in_it_is_kept(project: PseudoProject, capsys):
    assert lay_out(project) == 0
    mine = project.raw.with_name(NEW) / "imagesTr" / "mine_0000.nii.gz"
    mine.write_bytes(b"a scan")
    assert lay_out(project) == 2
    assert "imagesTr/mine_0000.nii.gz" in flat(capsys)
    assert mine.read_bytes() == b"a scan"


def test_a_dataset_of_an_earlier_version_is_not_replaced_in_silence(project: PseudoProject, capsys):
    assert lay_out(project) == 0
    (project.raw.with_name(NEW) / "pseudo_labels.json").write_text('{"made_by": "muduo pseudo-label"}')
    assert lay_out(project) == 2
    assert "by an earlier version" in flat(capsys)


def test_labelled_cases_that_count_as_unlabelled_are_pseudo_labelled_only(project: PseudoProject):
    """As `muduo split --rest-unlabelled` leaves them: links in imagesUn to scans of imagesTr."""
    for case in CASES:
        for channel in ("0000", "0001"):
            linked = project.raw / "imagesTr" / f"{case}_{channel}.nii.gz"
            linked.symlink_to(project.raw / "imagesUn" / linked.name)
        write(organs(), project.raw / "labelsTr" / f"{case}.nii.gz")
    assert lay_out(project, *DROP_ALL) == 0
    folder = project.raw.with_name(NEW)
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 4
    assert not np.array_equal(array(folder / "labelsTr" / f"{CASES[0]}.nii.gz"), organs())  # not the true labels
