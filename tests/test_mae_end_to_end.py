"""Pretraining by the commands a user types, on small phantoms: plan, preprocess, pretrain, resume, transfer."""

import json

import pytest
import torch
from nnunet_project import SPACING_IN_MM, NNUNetProject, network_weights

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.presets import preset_paths

pytestmark = pytest.mark.slow

PLANS, TRAINER = "nnUNetPlansPETCTMAE", "nnUNetTrainerPETCTMAE"
SETTINGS = {"block": [4, 4, 4], "num_epochs": 4, "iterations_per_epoch": 3, "val_iterations_per_epoch": 2}


def small_preset() -> dict:
    """The shipped preset on a coarse grid, with a small network and short training."""
    preset = json.loads(preset_paths()["petct_mae"].read_text())
    preset["configurations"]["3d_fullres"]["spacing"] = list(SPACING_IN_MM)
    preset["network"] = {"patch_size": 16, "features": 4, "max_features": 16, "batch_size": 2}
    preset["mae"] |= {**SETTINGS, "batch_size": 3, "seed": 0}
    return preset


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> NNUNetProject:
    project = NNUNetProject(tmp_path_factory.mktemp("nnunet"), plans=PLANS)
    project.preset = project.folder / "small.json"
    project.preset.write_text(json.dumps(small_preset()))
    return project


@pytest.fixture(scope="module")
def pretrained(project: NNUNetProject) -> NNUNetProject:
    """Labelled and unlabelled phantoms that nnU-Net never planned; interrupted once, then continued to the end."""
    write_phantom_dataset(project.raw, labelled=3, unlabelled=3, test=0, seed=0, spacing_in_mm=SPACING_IN_MM)
    project.planned = project.muduo("plan", "-d", "221", "--preset", str(project.preset))
    project.run("nnUNetv2_extract_fingerprint", "-d", "221", "-np", "1")
    project.run("nnUNetv2_preprocess", "-d", "221", "-plans_name", PLANS, "-c", "3d_fullres", "-np", "1")
    latest = project.fold(TRAINER, "all") / "checkpoint_latest.pth"
    project.interrupt(latest, *project.training(TRAINER, fold="all"))
    project.resumed = project.train(TRAINER, "--c", "--npz", "--val_best", fold="all")
    return project


def test_plans_tell_that_nnunet_had_none_and_what_to_run_next(pretrained: NNUNetProject):
    assert "straight from the preset" in pretrained.planned
    assert f"nnUNetv2_preprocess -d 221 -plans_name {PLANS} -c 3d_fullres" in pretrained.planned
    assert "nnUNetv2_extract_fingerprint -d 221" in pretrained.planned


def test_pretraining_is_continued_and_says_that_it_segments_nothing(pretrained: NNUNetProject):
    assert "Epoch 0\n" not in pretrained.resumed
    assert "Epoch 3\n" in pretrained.resumed
    assert "Pretraining on 5 cases, validation loss on 1 others" in pretrained.resumed
    assert "No probabilities (--npz) are written" in pretrained.resumed
    folder = pretrained.fold(TRAINER, "all")
    assert (folder / "reconstruction_epoch_0003.png").is_file()
    assert not (folder / "validation").exists()


def test_data_of_the_preset_are_in_folders_of_their_own(pretrained: NNUNetProject):
    folder = pretrained.preprocessed
    assert len(list((folder / f"{PLANS}_3d_fullres").glob("*.pkl"))) == 3
    assert len(list((folder / f"{PLANS}_3d_fullres_unlabelled").glob("*.pkl"))) == 3


def test_a_segmentation_is_fine_tuned_from_the_checkpoint(pretrained: NNUNetProject):
    """With stock nnU-Net's trainer, but for its length."""
    trainer, settings = "nnUNetTrainerMuDuoSupervised", ("num_epochs=1", "iterations_per_epoch=2", "mirroring=false")
    pretrained.muduo("plan", "-d", "221", "-p", PLANS, "--set", *settings, "val_iterations_per_epoch=1")
    checkpoint = pretrained.fold(TRAINER, "all") / "checkpoint_final.pth"
    output = pretrained.train(trainer, "-pretrained_weights", str(checkpoint), fold="all")
    assert "encoder.stages.0.0.convs.0.conv.weight shape" in output  # nnU-Net lists what it takes over
    fine_tuned = pretrained.fold(trainer, "all") / "checkpoint_final.pth"
    assert list(network_weights(checkpoint)) == list(network_weights(fine_tuned))
    assert (fine_tuned.parent / "validation" / "summary.json").is_file()


def test_muduo_starts_from_the_pretraining_on_the_presets_plans_and_predicts(pretrained: NNUNetProject):
    short = (
        "num_epochs=1",
        "iterations_per_epoch=2",
        "val_iterations_per_epoch=1",
        "prompt_epochs=1",
        "report_every=1",
    )
    teachers = ("ct_teacher=standin_ct", "pet_teacher=standin_pet", "report_patches=2", "unlabelled_batch_size=2")
    pretrained.muduo("plan", "-d", "221", "-p", PLANS, "--set", *short, *teachers)
    weights, trainer = pretrained.folder / "imported.pth", "nnUNetTrainerMuDuo"
    checkpoint = str(pretrained.fold(TRAINER, "all") / "checkpoint_final.pth")
    pretrained.muduo("import-mae", checkpoint, "-d", "221", "-p", PLANS, "-tr", trainer, "-o", str(weights))
    output = pretrained.train(trainer, "-pretrained_weights", str(weights), fold="all")
    assert f"Loading pretrained weights from file  {weights}" in output
    started, ended = network_weights(weights), network_weights(pretrained.fold(trainer, "all") / "checkpoint_final.pth")
    encoder = [name for name in started if name.startswith("encoder.")]
    assert encoder
    assert all(0 < (started[name] - ended[name]).abs().max() < 0.1 for name in encoder if name.endswith("conv.weight"))
    images, out = pretrained.raw / "imagesUn", pretrained.folder / "predicted"
    model = ("-d", "221", "-c", "3d_fullres", "-f", "all", "-tr", trainer, "-p", PLANS)
    pretrained.run("nnUNetv2_predict", *model, "-i", str(images), "-o", str(out), "-device", "cpu")
    assert len(list(out.glob("*.nii.gz"))) == 3


def test_scans_without_any_label_are_planned_and_pretrained_on_in_two_commands(project: NNUNetProject):
    name = "Dataset222_Unlabelled"
    raw = project.paths["nnUNet_raw"] / name
    write_phantom_dataset(raw, labelled=0, unlabelled=3, test=0, seed=1, spacing_in_mm=SPACING_IN_MM)
    content = {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(content))
    project.muduo("plan", "-d", "222", "--preset", str(project.preset))
    project.train(TRAINER, fold="all", dataset="222")
    file = project.fold(TRAINER, "all", dataset=name) / "checkpoint_final.pth"
    told = torch.load(file, weights_only=False)["mae_provenance"]
    assert told["cases"] == {"labelled": 0, "unlabelled": 3, "held_out": 1}
    assert told["normalization_schemes"] == ["ZScoreNormalization"] * 2
