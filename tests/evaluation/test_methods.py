from pathlib import Path

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.methods import named_folders


def test_folders_are_called_by_their_own_name():
    assert list(named_folders(["out/muduo", "out/supervised/"])) == ["muduo", "supervised"]


def test_nnunets_validation_folders_are_called_by_their_trainers():
    folders = [f"results/{trainer}__nnUNetPlans__3d_fullres/fold_0/validation" for trainer in ("A", "B")]
    assert list(named_folders(folders)) == ["A__nnUNetPlans__3d_fullres", "B__nnUNetPlans__3d_fullres"]


def test_names_can_be_given():
    assert named_folders(["ours=a/validation", "b/validation"]) == {
        "ours": Path("a/validation"),
        "validation": Path("b/validation"),
    }


@pytest.mark.parametrize("arguments", [["a", "a"], ["x=a", "x=b"], ["=a", "b"], ["x/y=a", "b"]])
def test_methods_of_one_name_or_none_are_refused(arguments: list[str]):
    with pytest.raises(UserError, match="name each as NAME=FOLDER"):
        named_folders(arguments)
