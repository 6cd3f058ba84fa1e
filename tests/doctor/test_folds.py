"""Folds of a dataset, those there are and those there will be."""

import json
import re
from pathlib import Path

import pytest
from doctor_marks import mark_of

from nnunetv2_muduo.cases.folds import folds_of
from nnunetv2_muduo.doctor.check import Mark
from nnunetv2_muduo.doctor.folds import check_folds, check_splits_file


@pytest.mark.parametrize(
    ("cases", "mark", "found"),
    [
        ("a", Mark.FAIL, "a single labelled case, none to hold out"),
        ("abc", Mark.OK, "3, with 2 case(s) to train and 1 to validate on"),
        ("abcdefg", Mark.OK, "5, with 5 to 6 case(s) to train and 1 to 2 to validate on"),
    ],
)
def test_without_a_file_it_tells_the_folds_that_a_training_will_make(tmp_path: Path, cases: str, mark, found: str):
    check = check_folds(tmp_path, [*cases])
    assert (mark_of(check), check.found) == (mark, found)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("folds", "found"),
    [
        ([{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": []}], "fold 1 of .* no case to validate on"),
        ([{"train": ["a"], "val": ["z"]}], "not preprocessed: z"),
        ([], "holds no fold"),
    ],
)
def test_a_fold_that_no_training_could_use_fails(tmp_path: Path, folds, found: str):
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    check = check_folds(tmp_path, ["a", "b"])
    assert mark_of(check) is Mark.FAIL
    assert check.remedy
    assert re.search(found, check.found)


def test_cases_labelled_after_the_folds_were_drawn_are_told_and_those_of_a_few_shot_split_are_not(tmp_path: Path):
    def checked(folds: list, cases: str):
        (tmp_path / "splits_final.json").write_text(json.dumps(folds))
        return check_folds(tmp_path, [*cases])

    crossvalidation = folds_of([*"abcdef"])
    assert mark_of(checked(crossvalidation, "abcdef")) is Mark.OK
    forgotten = checked(crossvalidation, "abcdefgh")
    assert mark_of(forgotten) is Mark.WARN
    assert forgotten.found == "2 of 8 labelled cases are in none, so their labels train nothing: g, h"
    few_shot = [{"train": ["a"], "val": ["b", "c"]}, {"train": ["d"], "val": ["b", "c"]}]  # as muduo split draws
    assert mark_of(checked(few_shot, "abcdefgh")) is Mark.OK
    assert mark_of(checked(few_shot[:1], "abcdefgh")) is Mark.OK


def test_what_is_no_split_fails(tmp_path: Path):
    assert check_splits_file(tmp_path) == []
    (tmp_path / "splits_final.json").write_text('[{"train": ["a"], "val": []}]')
    assert check_splits_file(tmp_path) == []
    (tmp_path / "splits_final.json").write_text('{"train": ["a"]}')
    (check,) = check_splits_file(tmp_path)
    assert mark_of(check) is Mark.FAIL
    assert "must look like" in check.found
