import pytest
from trained_folders import write_fold

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.reporting.finding import MOST, folders_of_names, named_folds


@pytest.fixture
def results(tmp_path, monkeypatch):
    for variable in FOLDER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    return tmp_path


def test_trainers_are_called_by_their_class_without_nnunets_prefix(tmp_path):
    folds = [write_fold(tmp_path, trainer=name) for name in ("nnUNetTrainer", "nnUNetTrainerMuDuo")]
    assert named_folds(folds) == {"nnUNetTrainer": folds[0], "MuDuo": folds[1]}


def test_what_differs_stands_in_the_name(tmp_path):
    folds = [write_fold(tmp_path, plans_name=plans, fold=fold) for plans, fold in (("A", "0"), ("A", "1"), ("B", "0"))]
    assert list(named_folds(folds)) == ["MuDuo, A, fold_0", "MuDuo, A, fold_1", "MuDuo, B, fold_0"]


def test_name_of_ones_own_is_taken(tmp_path):
    fold = write_fold(tmp_path)
    assert named_folds([f"ours={fold}"]) == {"ours": fold}


def test_folder_of_a_model_stands_for_its_folds(tmp_path):
    folds = [write_fold(tmp_path, fold=fold) for fold in ("0", "1")]
    assert list(named_folds([folds[0].parent]).values()) == folds
    assert list(named_folds([f"ours={folds[0].parent}"])) == ["ours, fold_0", "ours, fold_1"]


@pytest.mark.parametrize("arguments", [["{0}", "{0}"], ["x={0}", "x={1}"], ["{0}/nowhere"]])
def test_same_folder_same_name_or_no_folder_is_refused(tmp_path, arguments):
    folds = [write_fold(tmp_path, fold=fold) for fold in ("0", "1")]
    with pytest.raises(UserError):
        named_folds([argument.format(*folds) for argument in arguments])


def test_more_trainings_than_colours_are_refused(tmp_path):
    folds = [write_fold(tmp_path, fold=str(fold)) for fold in range(MOST + 1)]
    with pytest.raises(UserError, match=f"at most {MOST}"):
        named_folds(folds)


def test_trainings_are_found_as_nnunet_names_them(results):
    fold = write_fold(results, trainer="nnUNetTrainerMuDuo", plans_name="P")
    asked = {"folds": ["0"], "plans_name": "P", "configuration": "3d_fullres"}
    assert folders_of_names("7", trainers=["nnUNetTrainerMuDuo"], **asked) == [fold]


def test_training_that_is_not_there_is_told_with_those_that_are(results):
    write_fold(results, trainer="nnUNetTrainerMuDuo")
    with pytest.raises(UserError, match="nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres/fold_0"):
        folders_of_names("7", trainers=["Other"], folds=["0"], plans_name="nnUNetPlans", configuration="3d_fullres")
