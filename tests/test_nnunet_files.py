"""dataset.json, plans and splits: what nnU-Net would stumble over is named by file and entry; what is good passes."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
from planned_dataset import DATASET_JSON, unet_plans

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import (
    check_entries,
    check_plans,
    is_plain_name,
    read_dataset_json,
    read_plans_file,
    read_splits,
    resolved_configuration,
)
from nnunetv2_muduo.presets import load_preset, preset_paths


def written(folder: Path, content: object) -> Path:
    (folder / "file.json").write_text(json.dumps(content))
    return folder / "file.json"


def test_what_nnunet_writes_is_read_as_it_is(tmp_path: Path):
    assert read_plans_file(written(tmp_path, unet_plans())) == unet_plans()
    assert read_dataset_json(written(tmp_path, DATASET_JSON)) == DATASET_JSON
    splits = [{"train": ["a", "b"], "val": []}]
    assert read_splits(written(tmp_path, splits)) == splits


def test_regions_old_names_of_channels_and_listed_files_are_good(tmp_path: Path):
    content = {
        "modality": {"0": "CT", "1": "PET"},
        "labels": {"background": 0, "whole": [1, 2], "ignore": 3},
        "dataset": {"a": {"images": ["$HOME/a.nii.gz"], "label": "b.nii.gz"}},
        "whatever": [None],
    }
    assert read_dataset_json(written(tmp_path, content), needs=("labels", "channel_names")) == content


@pytest.mark.parametrize("preset", [name for name in preset_paths() if load_preset(name).plans_name])
def test_presets_that_are_plans_of_their_own_are_good(preset: str):
    check_plans({"configurations": dict(load_preset(preset).configurations)}, "preset")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("labels", None),
        ("labels", ["liver"]),
        ("labels", {"background": 0, "liver": "1"}),
        ("labels", {"background": 0, "liver": -1}),
        ("labels", {"background": 0, "liver": []}),
        ("labels", {"background": 0, "liver": 10**9}),
        ("labels", {"background": 1, "liver": 2}),
        ("labels", {"background": [0], "liver": 1}),
        ("labels", {"background": 0, "ignore": 1, "liver": 2}),
        ("labels", {"background": 0, "whole": [1, 2], "ignore": [3]}),
        ("channel_names", {}),
        ("channel_names", {"0 ": "CT"}),
        ("channel_names", {"0": None}),
        ("file_ending", 3),
        ("file_ending", "nii"),
        ("file_ending", "./../../x"),
        ("file_ending", 30 * ".nii.gz"),
        ("file_ending", ".nii\0"),
        ("numTraining", "5"),
        ("dataset", {"a": {"images": "a.nii.gz", "label": "b.nii.gz"}}),
    ],
)
def test_an_entry_of_dataset_json_that_nnunet_could_not_take_is_named(tmp_path: Path, entry: str, value: object):
    with pytest.raises(UserError, match=rf"file\.json: '{entry}' is .*, but must be"):
        read_dataset_json(written(tmp_path, {**DATASET_JSON, entry: value}))


def test_entries_that_a_caller_cannot_do_without_are_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"file\.json has no entry 'file_ending'"):
        read_dataset_json(written(tmp_path, {"labels": {"background": 0}}), needs=("labels", "file_ending"))


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("data_identifier", "../../../outside"),
        ("data_identifier", "a\\b"),
        ("data_identifier", ""),
        ("patch_size", [16, 16, 0]),
        ("patch_size", [16, 16, 16.5]),
        ("patch_size", [1, 2, 3, 4]),
        ("spacing", [1.0, float("nan"), 1.0]),
        ("spacing", [1.0, 0, 1.0]),
        ("spacing", [1.0, 10**400, 1.0]),
        ("spacing", "1"),
        ("batch_size", True),
        ("normalization_schemes", [None]),
        ("use_mask_for_norm", [0, 1]),
        ("architecture", []),
        ("architecture", {"arch_kwargs": "small"}),
        ("resampling_fn_data_kwargs", {"order": "text"}),
        ("resampling_fn_seg_kwargs", {"order_z": 6}),
        ("resampling_fn_data_kwargs", None),
    ],
)
def test_an_entry_of_a_configuration_that_nnunet_could_not_take_is_named(entry: str, value: object):
    plans = unet_plans()
    plans["configurations"]["3d_fullres"][entry] = value
    with pytest.raises(UserError, match=rf"here: 'configurations\.3d_fullres\.{entry}' is .*, but must be"):
        check_plans(plans, "here")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("configurations", [1]),
        ("configurations", {"3d_fullres": None}),
        ("dataset_name", "../../etc"),
        ("plans_name", "a/b"),
        ("transpose_forward", [0, 0, 2]),
        ("transpose_backward", [0, 1]),
        ("foreground_intensity_properties_per_channel", {"0": {"mean": "x"}}),
    ],
)
def test_an_entry_of_plans_that_nnunet_could_not_take_is_named(entry: str, value: object):
    with pytest.raises(UserError, match=rf"here: '{entry}' is .*, but must be"):
        check_plans({**unet_plans(), entry: value}, "here")


@pytest.mark.parametrize("plans", [None, [], "x", {}])
def test_what_is_no_plans_at_all_is_refused(plans: object):
    with pytest.raises(UserError, match="here: "):
        check_plans(plans, "here")


def test_axes_of_spacing_and_patch_must_be_as_many():
    plans = unet_plans()
    plans["configurations"]["3d_fullres"]["patch_size"] = [16, 16]
    with pytest.raises(UserError, match="different numbers of axes"):
        check_plans(plans, "here")


def test_a_configuration_has_what_it_inherits():
    plans = unet_plans()
    resolved = resolved_configuration(plans, "3d_small_batch")
    assert resolved["batch_size"] == 1
    assert resolved["patch_size"] == plans["configurations"]["3d_fullres"]["patch_size"]


@pytest.mark.parametrize(("parent", "words"), [("3d_fullres", "inherits from it"), ("4d", "is not there")])
def test_an_inheritance_that_leads_nowhere_is_told(parent: str, words: str):
    plans = unet_plans()
    plans["configurations"]["3d_fullres"]["inherits_from"] = parent
    with pytest.raises(UserError, match=f"inherits from '{parent}', which {words}"):
        check_plans(plans, "here")


def test_an_entry_that_is_missing_is_told_with_what_to_do():
    plans = deepcopy(unet_plans())
    del plans["configurations"]["3d_fullres"]["spacing"]
    with pytest.raises(
        UserError, match=r"'3d_small_batch' of the plans has no entry 'spacing'; plan the dataset again"
    ):
        check_entries(plans, "3d_small_batch", ("patch_size", "spacing"))


@pytest.mark.parametrize(
    "splits", [{}, [1], [{"train": ["a"]}], [{"train": "a", "val": []}], [{"train": [1], "val": []}]]
)
def test_other_splits_are_refused_with_what_they_must_look_like(tmp_path: Path, splits: object):
    with pytest.raises(UserError, match=r"file\.json must look like"):
        read_splits(written(tmp_path, splits))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("nnUNetPlans", True),
        ("a b.v1", True),
        ("Ganzkörper", True),
        ("..", False),
        (".", False),
        ("", False),
        ("a/b", False),
        ("/a", False),
        ("a\\b", False),
        ("C:a", False),
        ("a\0", False),
        ("\ud800", False),
        (3, False),
    ],
)
def test_plain_names_lead_nowhere_else_on_any_system(text: object, plain: bool):
    assert is_plain_name(text) is plain
