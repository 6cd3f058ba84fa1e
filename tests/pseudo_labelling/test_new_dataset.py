"""The dataset that pseudo-labels are laid out in: whose it is, what is kept, which folds it has."""

import json
from pathlib import Path

import numpy as np
import pytest
from pseudo_project import (
    CASES,
    DATASET_JSON,
    DROP_ALL,
    NEW,
    PseudoProject,
    array,
    flat,
    lay_out,
    organs,
    write,
    write_scan,
)

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.pseudo_labelling.new_dataset import dataset_name


def test_images_are_linked_or_copied(project: PseudoProject):
    lay_out(project)
    image = project.raw.with_name(NEW) / "imagesTr" / f"{CASES[0]}_0000.nii.gz"
    assert image.is_symlink()
    lay_out(project, "--copy")
    assert not image.is_symlink()
    assert image.read_bytes() == (project.raw / "imagesUn" / image.name).read_bytes()


def list_files(project: PseudoProject) -> None:
    """As nnU-Net lets a dataset.json name its training cases: files elsewhere, called as they like."""
    for part in ("imagesTr", "labelsTr"):
        (project.raw / part).rename(project.raw / f"other {part}")
    images, label = "other imagesTr/labelled_{}_000{}.nii.gz", "other labelsTr/labelled_{}.nii.gz"
    listed = {
        f"case {n}": {"images": [images.format(n, channel) for channel in (0, 1)], "label": label.format(n)}
        for n in (0, 1)
    }
    (project.raw / "dataset.json").write_text(json.dumps(DATASET_JSON | {"dataset": listed}))


def test_labelled_cases_that_dataset_json_lists_are_taken_over_by_nnunets_names(project: PseudoProject, capsys):
    list_files(project)
    assert lay_out(project) == 0
    assert "2 pseudo-labelled and 2 labelled cases" in capsys.readouterr().out
    folder = project.raw.with_name(NEW)
    for n in (0, 1):
        np.testing.assert_array_equal(array(folder / "labelsTr" / f"case {n}.nii.gz"), organs())
        for channel in (0, 1):
            image = project.raw / "other imagesTr" / f"labelled_{n}_000{channel}.nii.gz"
            assert (folder / "imagesTr" / f"case {n}_000{channel}.nii.gz").samefile(image)
    assert "dataset" not in json.loads((folder / "dataset.json").read_text())


def test_listed_file_of_another_format_is_refused(project: PseudoProject, capsys):
    list_files(project)
    text = (project.raw / "dataset.json").read_text()
    (project.raw / "dataset.json").write_text(text.replace("labelled_1_0001.nii.gz", "labelled_1_0001.mha"))
    assert lay_out(project) == 2
    assert "is no .nii.gz file" in flat(capsys)


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
