from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from evaluated_folders import DATASET, reference_labels
from trained_folders import DATASET as DATASET_NAME
from trained_folders import write_fold, write_scans

from nnunetv2_muduo.evaluation.overlap import dice_score
from nnunetv2_muduo.reporting.cases import BEST, ONLY, WORST, case_pictures, chosen_cases
from nnunetv2_muduo.reporting.training import read_training
from nnunetv2_muduo.reporting.validation import CaseScore

NAN = float("nan")


def cases(*means):
    return [CaseScore(f"c{k}", {"liver": mean}, Path(), Path()) for k, mean in enumerate(means)]


def names(chosen):
    return [(kind, case.name) for kind, case in chosen]


def test_worst_and_best_are_chosen_by_mean_dice():
    chosen = chosen_cases(cases(0.5, 0.9, 0.1, 0.7, 0.3), 2)
    assert names(chosen) == [(WORST, "c2"), (WORST, "c4"), (BEST, "c1"), (BEST, "c3")]


@pytest.mark.parametrize(
    ("means", "expected"),
    [
        ([0.5], [(ONLY, "c0")]),
        ([0.5, 0.4], [(WORST, "c1"), (BEST, "c0")]),
        ([0.5, 0.4, 0.3], [(WORST, "c2"), (WORST, "c1"), (BEST, "c0")]),
        ([NAN, 0.4], [(ONLY, "c1")]),
        ([], []),
    ],
)
def test_no_case_is_chosen_twice(means, expected):
    assert names(chosen_cases(cases(*means), 2)) == expected


def test_none_are_chosen_where_none_are_wanted():
    assert chosen_cases(cases(0.5, 0.4), 0) == []


def test_case_that_is_not_at_hand_becomes_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    write_scans(tmp_path / "raw", ("a",))
    dice = {"a": {"liver": 0.9, "spleen": 0.5, "lesion": 0.1}, "b": {"liver": 0.9, "spleen": 0.6, "lesion": NAN}}
    training = read_training(write_fold(tmp_path, dice=dice), "mine")
    drawn, notes = case_pictures([training], number=1, colours=["#d6409f"])
    assert [index for index, _ in drawn] == [0]
    assert "lesion, Dice 0.100" in drawn[0][1].caption
    assert len(notes) == 1
    assert "b is not shown" in notes[0]


def test_caption_tells_when_what_is_drawn_is_not_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    write_scans(tmp_path / "raw", ("a",))
    reference = reference_labels() == DATASET["labels"]["liver"]
    measured = dice_score(np.roll(reference, 1, axis=2), reference)  # of what `write_fold` predicts
    fold = write_fold(tmp_path, dice={"a": {"liver": measured, "spleen": NAN, "lesion": NAN}})

    def caption() -> str:
        drawn, _ = case_pictures([read_training(fold, "mine")], number=1, colours=["#d6409f"])
        return drawn[0][1].caption

    assert caption().endswith(f"liver, Dice {measured:.3f}.")
    label_map = tmp_path / "raw" / DATASET_NAME / "labelsTr" / "a.nii.gz"
    image = sitk.ReadImage(str(fold / "validation" / "a.nii.gz"))
    sitk.WriteImage(image, str(label_map))  # corrected, to what was predicted
    assert caption().endswith("was changed since the validation: as they are drawn, Dice 1.000.")
