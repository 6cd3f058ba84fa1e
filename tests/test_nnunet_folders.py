"""nnU-Net's nnunet_folders, datasets and plans: found, or missed in one sentence."""

import json
from pathlib import Path

import pytest

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_folders import check_configuration, find_dataset, read_plans


def test_dataset_is_found_by_name_and_number_in_any_folder(nnunet_folders: Path):
    (nnunet_folders / "nnUNet_preprocessed" / "Dataset021_Tiny").mkdir()
    assert find_dataset("Dataset021_Tiny") == find_dataset("21") == find_dataset("021") == "Dataset021_Tiny"


def test_number_shared_by_two_datasets_is_refused(nnunet_folders: Path):
    (nnunet_folders / "nnUNet_raw" / "Dataset021_A").mkdir()
    (nnunet_folders / "nnUNet_results" / "Dataset021_B").mkdir()
    with pytest.raises(UserError, match="Dataset021_A, Dataset021_B"):
        find_dataset("21")


def test_nonsense_is_no_dataset(nnunet_folders: Path):
    with pytest.raises(UserError, match="no dataset 'liver'"):
        find_dataset("liver")


def test_missing_plans_are_answered_with_those_there_are(tmp_path: Path):
    folder = tmp_path / "Dataset021_Tiny"
    folder.mkdir()
    (folder / "nnUNetResEncUNetMPlans.json").write_text("{}")
    with pytest.raises(UserError, match="present: nnUNetResEncUNetMPlans"):
        read_plans(folder, "nnUNetPlans")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("nnUNetPlans", "nnUNetv2_plan_and_preprocess -d 21 -c 3d_fullres"),
        ("nnUNetPlansPETCTMAE", "muduo plan -d 21 --preset petct_mae"),
    ],
)
def test_missing_plans_are_answered_with_the_command_that_makes_plans_of_this_name(tmp_path: Path, name, command):
    with pytest.raises(UserError, match=f"{name}.json .*make them with `{command}`"):
        read_plans(tmp_path / "Dataset021_Tiny", name)


def test_plans_are_read(tmp_path: Path):
    folder = tmp_path / "Dataset021_Tiny"
    folder.mkdir()
    (folder / "nnUNetPlans.json").write_text(json.dumps({"configurations": {"3d_fullres": {}}}))
    plans = read_plans(folder, "nnUNetPlans")
    check_configuration(plans, "3d_fullres")
    with pytest.raises(UserError, match="no configuration '3d_low'; use one of: 3d_fullres"):
        check_configuration(plans, "3d_low")
