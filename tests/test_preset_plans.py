"""`muduo plan --preset petct_mae` on datasets that nnU-Net has planned and on those it cannot plan."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import DATASET, unet_plans, write_planned_dataset

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.planning import write_muduo_plans
from nnunetv2_muduo.presets import preset_paths

NAME = "nnUNetPlansPETCTMAE"


def write_unlabelled(nnunet_folders: Path, *, scans: int = 2, dataset_json: dict | None = None) -> Path:
    raw = nnunet_folders / "nnUNet_raw" / DATASET
    (raw / "imagesUn").mkdir(parents=True)
    content = {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(dataset_json or content))
    for number in range(scans):
        image = SimpleITK.GetImageFromArray(np.zeros((10, 12, 14), np.float32))
        image.SetSpacing((4.0, 4.0, 6.0))  # x, y, z
        for channel in range(2):
            SimpleITK.WriteImage(image, str(raw / "imagesUn" / f"scan{number}_{channel:04d}.nii.gz"))
    return nnunet_folders / "nnUNet_preprocessed" / DATASET


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def test_the_preset_is_the_published_network_on_the_published_grid(nnunet_folders):
    write_planned_dataset(nnunet_folders / "nnUNet_preprocessed")
    written = write_muduo_plans("21", preset="petct_mae")
    manager = PlansManager(str(written.path))
    configuration = manager.get_configuration("3d_fullres")
    assert configuration.spacing == [3.0, 2.0, 2.0]
    assert configuration.patch_size == [96, 128, 128]
    assert configuration.normalization_schemes == ["ZScoreNormalization"] * 2
    with torch.device("meta"):
        network = nnUNetTrainer.build_network_architecture(manager, configuration, 2, 2, False)
    once = {id(parameter): parameter.numel() for parameter in network.parameters()}
    assert sum(once.values()) / 1e6 == pytest.approx(31.2, abs=0.1)
    settings = MAESettings.from_plans(read(written.path))
    assert settings == MAESettings(batch_size=16)  # the defaults are the published numbers


def test_plans_of_their_own_leave_nnunets_alone_and_share_no_data(nnunet_folders):
    folder = write_planned_dataset(nnunet_folders / "nnUNet_preprocessed")
    before = (folder / "nnUNetPlans.json").read_bytes()
    written = write_muduo_plans("21", preset="petct_mae", assignments=["mae.num_epochs=7", "points=2"])
    assert (written.path, written.plans_name) == (folder / f"{NAME}.json", NAME)
    plans = read(written.path)
    assert list(plans["configurations"]) == ["3d_fullres"]
    assert plans["configurations"]["3d_fullres"]["data_identifier"] == f"{NAME}_3d_fullres"
    assert (plans["mae"]["num_epochs"], plans["muduo"]) == (7, {"points": 2})
    assert (
        plans["foreground_intensity_properties_per_channel"]
        == unet_plans()["foreground_intensity_properties_per_channel"]
    )
    assert (folder / "nnUNetPlans.json").read_bytes() == before
    assert "from nnUNetPlans.json" in written.summary()


@pytest.mark.parametrize("forward", [[1, 0, 2], [2, 0, 1]])  # of sagittal and coronal slices, say
def test_axes_that_nnunet_transposed_are_the_readers_again(nnunet_folders, forward):
    plans = unet_plans() | {"transpose_forward": forward, "transpose_backward": np.argsort(forward).tolist()}
    for what, medians in (("spacing", [3.0, 2.0, 4.0]), ("shape", [8, 9, 7])):
        plans[f"original_median_{what}_after_transp"] = [medians[axis] for axis in forward]
    write_planned_dataset(nnunet_folders / "nnUNet_preprocessed", plans)
    after = read(write_muduo_plans("21", preset="petct_mae").path)
    assert after["transpose_forward"] == after["transpose_backward"] == [0, 1, 2]
    assert after["original_median_spacing_after_transp"] == [3.0, 2.0, 4.0]
    assert after["configurations"]["3d_fullres"]["median_image_size_in_voxels"] == [8.0, 9.0, 14.0]


def test_scans_without_any_label_are_planned_straight_from_the_preset(nnunet_folders):
    folder = write_unlabelled(nnunet_folders)
    written = write_muduo_plans("21", preset="petct_mae")
    plans = read(written.path)
    assert plans["image_reader_writer"] == "SimpleITKIO"
    assert plans["original_median_spacing_after_transp"] == [6.0, 4.0, 4.0]
    assert plans["foreground_intensity_properties_per_channel"] == {"0": {}, "1": {}}
    assert plans["configurations"]["3d_fullres"]["median_image_size_in_voxels"] == [20.0, 24.0, 28.0]
    assert read(folder / "dataset.json") == {
        "channel_names": {"0": "CT", "1": "PET"},
        "file_ending": ".nii.gz",
        "labels": {"background": 0},
        "numTraining": 0,
    }
    assert "straight from the preset" in written.summary()
    assert f"muduo preprocess-unlabelled -d 21 -p {NAME}" in written.summary()


def test_labels_that_a_pool_gets_later_reach_the_trainers_when_it_is_planned_again(nnunet_folders):
    folder = write_unlabelled(nnunet_folders)
    write_muduo_plans("21", preset="petct_mae")
    labelled = {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz", "numTraining": 3}
    labelled["labels"] = {"background": 0, "lesion": 1}
    (nnunet_folders / "nnUNet_raw" / DATASET / "dataset.json").write_text(json.dumps(labelled))
    write_muduo_plans("21", preset="petct_mae")
    assert read(folder / "dataset.json") == labelled


@pytest.mark.parametrize("raw", ["unset", "without the dataset"])
def test_a_dataset_json_without_a_raw_one_stays(nnunet_folders, monkeypatch, raw):
    folder = write_planned_dataset(nnunet_folders / "nnUNet_preprocessed")
    before = (folder / "dataset.json").read_bytes()
    if raw == "unset":
        monkeypatch.delenv("nnUNet_raw")
    write_muduo_plans("21", preset="petct_mae")
    assert (folder / "dataset.json").read_bytes() == before


@pytest.mark.parametrize("channels", [["PET"], ["CT", "PET", "CT late"]])
def test_every_channel_is_normalised_as_the_preset_does_all(nnunet_folders, channels):
    write_unlabelled(
        nnunet_folders, dataset_json={"channel_names": dict(enumerate(channels)), "file_ending": ".nii.gz"}
    )
    configuration = read(write_muduo_plans("21", preset="petct_mae").path)["configurations"]["3d_fullres"]
    assert configuration["normalization_schemes"] == ["ZScoreNormalization"] * len(channels)
    assert configuration["use_mask_for_norm"] == [False] * len(channels)


def test_channels_that_a_preset_treats_differently_must_be_as_many(nnunet_folders):
    write_unlabelled(nnunet_folders, dataset_json={"channel_names": {"0": "PET"}, "file_ending": ".nii.gz"})
    preset = read(preset_paths()["petct_mae"])
    preset["configurations"]["3d_fullres"]["normalization_schemes"] = ["ZScoreNormalization", "NoNormalization"]
    (nnunet_folders / "own.json").write_text(json.dumps(preset))
    with pytest.raises(UserError, match=r"preset normalises 2 channels.* Dataset021_Tiny has 1"):
        write_muduo_plans("21", preset=str(nnunet_folders / "own.json"))


def test_settings_are_added_to_the_plans_later(nnunet_folders):
    write_unlabelled(nnunet_folders)
    write_muduo_plans("21", preset="petct_mae")
    written = write_muduo_plans("21", plans_name=NAME, assignments=["mae.ratio=0.75"])
    assert written.path.name == f"{NAME}.json"
    settings = MAESettings.from_plans(read(written.path))
    assert (settings.ratio, settings.batch_size) == (0.75, 16)
    assert "mae.ratio: 0.5 -> 0.75" in written.summary()


def test_settings_stay_when_the_preset_is_given_again(nnunet_folders):
    write_unlabelled(nnunet_folders)
    first = ["mae.batch_size=4", "mae.swin=base", "num_epochs=50"]
    write_muduo_plans("21", preset="petct_mae", assignments=first)
    written = write_muduo_plans("21", preset="petct_mae", assignments=["mae.num_epochs=100"])
    plans = read(written.path)
    assert plans["muduo"] == {"num_epochs": 50}
    assert plans["mae"] == read(preset_paths()["petct_mae"])["mae"] | {
        "batch_size": 4,
        "swin": "base",
        "num_epochs": 100,
    }
    kept = [line for line in written.summary().splitlines() if "kept from before" in line]
    assert kept == [
        "  kept from before: num_epochs is 50 (the preset has none)",
        "  kept from before: mae.batch_size is 4 (the preset has 16)",
        '  kept from before: mae.swin is "base" (the preset has none)',
    ]
    assert "mae.num_epochs: 200 -> 100" in written.summary()


def test_the_first_time_only_what_was_set_is_told(nnunet_folders):
    write_unlabelled(nnunet_folders)
    written = write_muduo_plans("21", preset="petct_mae", assignments=["mae.batch_size=4"])
    assert [str(change) for change in written.changes] == ["mae.batch_size: 16 -> 4"]
    assert "kept" not in written.summary()


def test_settings_of_the_plans_that_the_preset_is_based_on_are_named_and_not_taken_over(nnunet_folders):
    write_planned_dataset(nnunet_folders / "nnUNet_preprocessed", unet_plans() | {"muduo": {"points": 5, "seed": 1}})
    written = write_muduo_plans("21", preset="petct_mae", assignments=["seed=1"])
    assert read(written.path)["muduo"] == {"seed": 1}
    assert "not taken over from nnUNetPlans.json: points; give them with --set" in written.summary()


def test_earlier_plans_with_something_else_for_a_table_of_settings_are_refused(nnunet_folders):
    write_unlabelled(nnunet_folders)
    path = write_muduo_plans("21", preset="petct_mae").path
    path.write_text(json.dumps(read(path) | {"mae": "0.5"}))
    with pytest.raises(UserError, match=r'plans."mae". must be a table'):
        write_muduo_plans("21", preset="petct_mae")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"assignments": ["mae.blok=1"]}, "did you mean 'block'"),
        ({"assignments": ["mea.block=1"]}, "'mea.block' is no setting"),
        ({"output_name": "nnUNetPlans"}, "not made by muduo plan"),
    ],
)
def test_a_refused_call_writes_nothing(nnunet_folders, options, message):
    folder = write_planned_dataset(nnunet_folders / "nnUNet_preprocessed")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match=message):
        write_muduo_plans("21", preset="petct_mae", **options)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_preset_that_preprocesses_differently_into_the_same_folder_is_refused(nnunet_folders, tmp_path):
    write_planned_dataset(nnunet_folders / "nnUNet_preprocessed")
    preset = tmp_path / "coarse.json"
    preset.write_text(json.dumps({"configurations": {"3d_fullres": {"spacing": [4, 4, 4]}}}))
    for output_name in (None, "nnUNetPlansCoarse"):
        with pytest.raises(UserError, match=r"differently \(spacing\) from nnUNetPlans.json .* nnUNetPlans_3d_fullres"):
            write_muduo_plans("21", preset=str(preset), output_name=output_name)
    preset.write_text(json.dumps({"configurations": {"3d_fullres": {"spacing": [4, 4, 4], "data_identifier": "own"}}}))
    write_muduo_plans("21", preset=str(preset), output_name="nnUNetPlansCoarse")


def test_statistics_of_labels_are_not_invented(nnunet_folders, tmp_path):
    write_unlabelled(nnunet_folders)
    preset = tmp_path / "ct.json"
    content = unet_plans()["configurations"]["3d_fullres"]
    preset.write_text(json.dumps({"plans_name": "nnUNetPlansCT", "configurations": {"3d_fullres": content}}))
    with pytest.raises(UserError, match=r"CTNormalization.*nnUNetv2_plan_and_preprocess -d 21"):
        write_muduo_plans("21", preset=str(preset))


def test_a_dataset_without_scans_or_without_channel_names_says_so(nnunet_folders):
    write_unlabelled(nnunet_folders, scans=0, dataset_json={"channel_names": {"0": "CT"}, "file_ending": ".nii.gz"})
    with pytest.raises(UserError, match="no scan to plan for"):
        write_muduo_plans("21", preset="petct_mae")
    (nnunet_folders / "nnUNet_raw" / DATASET / "dataset.json").write_text("{}")
    with pytest.raises(UserError, match='lacks "channel_names"'):
        write_muduo_plans("21", preset="petct_mae")
