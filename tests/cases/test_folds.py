"""Folds that nnU-Net would end in a traceback over: too few cases, none, cases that are not there."""

import json
from pathlib import Path

import pytest
from fabricated_training import trainers_in
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.cases.folds import folds_of, prepare_folds, problem_of
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.training.configured import ConfiguredTrainer

NAMES = ("anna", "bert", "carl", "dora", "emil", "fay")


@pytest.mark.parametrize("cases", [2, 3, 4, 5, 6])
def test_each_case_is_held_out_once_in_five_folds_or_as_many_as_there_are_cases(cases: int):
    folds = folds_of(NAMES[:cases])
    assert len(folds) == min(5, cases)
    assert sorted(case for fold in folds for case in fold["val"]) == sorted(NAMES[:cases])
    assert all(sorted(fold["train"] + fold["val"]) == sorted(NAMES[:cases]) for fold in folds)


def test_folds_are_written_where_nnunet_could_make_none_and_nowhere_else(tmp_path: Path):
    file = tmp_path / "splits_final.json"
    assert prepare_folds(tmp_path, NAMES[:5]) == ""
    assert not file.exists()  # nnU-Net makes them
    assert "3 folds of 3 labelled cases" in prepare_folds(tmp_path, NAMES[:3])
    assert json.loads(file.read_text()) == folds_of(NAMES[:3])
    before = file.read_bytes()
    assert prepare_folds(tmp_path, NAMES[:2]) == ""
    assert file.read_bytes() == before


def test_a_single_case_and_what_is_no_split_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"a single labelled case.*`all`"):
        prepare_folds(tmp_path, ["anna"])
    (tmp_path / "splits_final.json").write_text('{"train": ["anna"], "val": ["bert"]}')
    with pytest.raises(UserError, match="must look like"):
        prepare_folds(tmp_path, NAMES)


@pytest.mark.parametrize(
    ("train", "val", "told"),
    [
        (["anna"], ["bert"], None),
        (["anna"], ["anna"], None),  # the fold all
        ([], ["bert"], "no case to train on"),
        (["anna"], [], "no case to validate on"),
        (["anna", "zoe"], ["bert"], "not preprocessed: zoe"),
        (["anna"], ["zoe"], "not preprocessed: zoe"),
    ],
)
def test_a_fold_needs_cases_on_both_sides_and_all_of_them_preprocessed(train, val, told):
    problem = problem_of({"train": train, "val": val}, NAMES)
    assert problem is None if told is None else problem is not None and told in problem[0]


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A trainer of fold 0, of a dataset with `anna`, `bert` and `carl`, as far as file names tell."""
    trainer = trainers_in(tmp_path, monkeypatch)(trainer_class=ConfiguredTrainer)
    trainer.fold, trainer.was_initialized = 0, False
    _store(trainer, *NAMES[:3])
    return trainer


def _store(trainer: nnUNetTrainer, *cases: str) -> None:
    folder = Path(trainer.preprocessed_dataset_folder)
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for name in (f"{case}{ending}" for case in cases for ending in (".b2nd", "_seg.b2nd", ".pkl")):
        (folder / name).touch()


def test_a_trainer_of_three_cases_makes_its_folds_and_says_so(trainer):
    training, validation = trainer.do_split()
    assert sorted([*training, *validation]) == sorted(NAMES[:3])
    assert len(validation) == 1
    assert "3 folds of 3 labelled cases" in Path(trainer.log_file).read_text()


def test_the_fold_all_needs_no_folds(trainer):
    _store(trainer, "anna")
    trainer.fold = "all"
    assert list(trainer.do_split()[1]) == ["anna"]
    assert not Path(trainer.preprocessed_dataset_folder_base, "splits_final.json").exists()


def test_a_trainer_refuses_an_unusable_fold_by_its_number_and_file(trainer):
    file = Path(trainer.preprocessed_dataset_folder_base, "splits_final.json")
    file.write_text(json.dumps([{"train": ["anna", "bert"], "val": []}]))
    with pytest.raises(UserError, match=r"Fold 0 of .*splits_final\.json has no case to validate on.*; add some"):
        trainer.get_tr_and_val_datasets()


def test_a_dataset_that_is_not_preprocessed_is_told_before_a_network_is_made(trainer):
    _store(trainer)
    with pytest.raises(UserError, match=r"holds no preprocessed case; run `nnUNetv2_preprocess -d \d+`"):
        trainer.initialize()
