"""Labelled cases are found, and divided the same way each time."""

import json
from pathlib import Path

import pytest
from phantom_datasets import write_dataset

from nnunetv2_muduo.cases.channels import find_channel
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.finetuning.sources import CaseSource, hold_out, labelled_cases, read_dataset


@pytest.fixture
def raw(nnunet_folders: Path) -> Path:
    write_dataset(nnunet_folders / "nnUNet_raw", "Dataset301_Good", cases=2)
    return nnunet_folders / "nnUNet_raw"


def called(*names: str) -> list[CaseSource]:
    return [CaseSource("Dataset301_Good", name, Path("i"), Path("l")) for name in names]


def some(count: int) -> list[CaseSource]:
    return called(*(f"c{number}" for number in range(count)))


def test_the_channel_of_the_modality_is_taken(raw: Path) -> None:
    name, content = read_dataset("301")
    files = [source.image.name for source in labelled_cases(name, content, modality="PET")]
    assert files == ["case0_0001.nii.gz", "case1_0001.nii.gz"]


def test_files_listed_in_dataset_json_are_found_where_they_are(raw: Path) -> None:
    content = read_dataset("301")[1]
    content["dataset"] = {"x": {"images": ["../elsewhere/a.nii.gz", "../elsewhere/b.nii.gz"], "label": "x.nii.gz"}}
    with pytest.raises(UserError, match=r"elsewhere/a.nii.gz of Dataset301_Good is missing"):
        labelled_cases("Dataset301_Good", content, modality="CT")


def test_a_labelled_case_without_its_image_is_named(raw: Path) -> None:
    name, content = read_dataset("301")
    (raw / name / "imagesTr" / "case1_0000.nii.gz").unlink()
    with pytest.raises(UserError, match=r"case1_0000.nii.gz"):
        labelled_cases(name, content, modality="CT")


def test_one_channel_is_enough_and_two_of_one_modality_are_too_many() -> None:
    assert find_channel({"channel_names": {"0": "SUV"}}, "PET") == 0
    with pytest.raises(UserError, match="More than one channel is called CT"):
        find_channel({"channel_names": {"0": "CT", "1": "ldct"}}, "CT")


@pytest.mark.parametrize(("count", "fraction", "held"), [(15, 0.2, 3), (5, 0.21, 2), (3, 0.2, 1), (4, 0, 0), (2, 1, 2)])
def test_the_last_cases_are_held_out(raw: Path, count: int, fraction: float, held: int) -> None:
    learning, validation = hold_out(some(count), fraction=fraction, fold=None)
    assert learning + validation == some(count)
    assert len(validation) == held


@pytest.mark.parametrize(
    ("cases", "held"),
    [
        (("fdg_a_1", "fdg_b_1", "fdg_b_2", "fdg_b_3", "fdg_c_1"), ["fdg_c_1"]),
        (("fdg_a_1", "fdg_a_2", "fdg_a_3", "fdg_b_1", "fdg_b_2"), ["fdg_b_1", "fdg_b_2"]),
        (("fdg_a_1", "psma_b_1", "fdg_c_1", "psma_d_1", "psma_b_2"), ["psma_b_1", "psma_b_2"]),
        (("fdg_a_1", "fdg_a_2", "fdg_a_3"), ["fdg_a_3"]),  # of one patient
    ],
)
def test_a_patients_studies_are_held_out_together(raw: Path, cases: tuple[str, ...], held: list[str]) -> None:
    learning, validation = hold_out(called(*cases), fraction=0.2, fold=None)
    assert [source.case for source in validation] == held
    assert [source.case for source in learning] == [case for case in cases if case not in held]


def test_a_fold_of_nnunets_splits_is_held_out(raw: Path) -> None:
    path = raw.parent / "nnUNet_preprocessed" / "Dataset301_Good" / "splits_final.json"
    path.parent.mkdir()
    path.write_text(json.dumps([{"train": ["c0", "c2"], "val": ["c1"]}]))
    learning, validation = hold_out(some(3), fraction=0.2, fold=0)
    assert [source.case for source in learning] == ["c0", "c2"]
    assert [source.case for source in validation] == ["c1"]
    with pytest.raises(UserError, match="no fold 3"):
        hold_out(some(3), fraction=0.2, fold=3)
