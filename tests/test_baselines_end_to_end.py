"""Two students and an average through stock commands: train, predict, validate, continue after the end, self-train."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunet_project import SPACING_IN_MM, NNUNetProject, network_weights

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset
from nnunetv2_muduo.training.ema_trainer import STATE_KEY

pytestmark = pytest.mark.slow

TRAINER = "nnUNetTrainerCPS"
SETTINGS = ["num_epochs=2", "iterations_per_epoch=3", "val_iterations_per_epoch=1", "predict_with=ema", "seed=0"]
USING_PROCESSES = ("nnUNetv2_extract_fingerprint", "nnUNetv2_preprocess")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> NNUNetProject:
    project = NNUNetProject(tmp_path_factory.mktemp("nnunet"))
    write_phantom_dataset(project.raw, labelled=5, unlabelled=2, test=0, seed=0, spacing_in_mm=SPACING_IN_MM)
    project.plan_and_preprocess()
    project.muduo("plan", "-d", "221", "--preset", "tiny", "--set", *SETTINGS)
    project.train(TRAINER)
    return project


def label_maps(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in folder.glob("*.nii.gz")}


def test_stock_prediction_is_what_the_average_was_validated_with(trained: NNUNetProject):
    fold = trained.fold(TRAINER)
    validated = label_maps(fold / "validation")
    assert validated
    images = trained.folder / "validated_images"
    images.mkdir()
    for name in validated:
        for channel in ("_0000", "_0001"):
            file = name.replace(".nii.gz", f"{channel}.nii.gz")
            (images / file).symlink_to(trained.raw / "imagesTr" / file)
    predicted = label_maps(trained.predict(TRAINER, images, trained.folder / "predicted"))
    assert set(predicted) == set(validated)
    for name, labels in validated.items():
        assert (predicted[name] == labels).mean() > 0.999  # rounding may tip single voxels
    weights = network_weights(fold / "checkpoint_final.pth")
    state = torch.load(fold / "checkpoint_final.pth", map_location="cpu", weights_only=False)[STATE_KEY]
    student = state["ema"]["the_other_weights"]
    assert state["ema"]["network_weights_are_the_average"]
    assert any(not torch.equal(weights[name], student[name]) for name in weights)
    assert set(state["second_student"]["network"]) == set(weights)


def test_continuing_after_the_end_changes_no_weight(trained: NNUNetProject):
    checkpoint = trained.fold(TRAINER) / "checkpoint_final.pth"
    before, validated = network_weights(checkpoint), label_maps(trained.fold(TRAINER) / "validation")
    trained.train(TRAINER, "--c")
    again = label_maps(trained.fold(TRAINER) / "validation")
    assert all(np.array_equal(again[name], labels) for name, labels in validated.items())
    after = network_weights(checkpoint)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_self_training_by_the_commands_of_the_documentation(trained: NNUNetProject):
    """docs/baselines.md, with another trainer as the supervised one, and then what `muduo pseudo-label` prints."""
    predicted = trained.predict(TRAINER, trained.raw / "imagesUn", trained.folder / "predicted_unlabelled")
    options = ["--predictions", str(predicted), "--no-teachers", "--as-labels", "322"]
    output = trained.muduo("pseudo-label", "-d", "221", *options, "-np", "0", "-device", "cpu")
    assert "2 pseudo-labelled and 5 labelled cases, 0.0 % of the pseudo-labelled voxels" in output
    lines = [line.strip() for line in output.splitlines() if line.strip().startswith("nnUNetv2_")]
    *commands, training = [shlex.split(command) for line in lines for command in line.split("&&")]
    for command in commands:
        trained.run(*command, *(["-np", "1"] if command[0] in USING_PROCESSES else []))
    trained.run(*training, "-device", "cpu")
    dataset = "Dataset322_PhantomPseudo"
    model = trained.paths["nnUNet_results"] / dataset / "nnUNetTrainerMuDuoSupervised__nnUNetPlans221__3d_fullres"
    weights = network_weights(model / "fold_0" / "checkpoint_final.pth")
    supervised = network_weights(trained.fold(TRAINER) / "checkpoint_final.pth")
    assert {name: tensor.shape for name, tensor in weights.items()} == {n: t.shape for n, t in supervised.items()}
    validated = {path.name for path in (model / "fold_0" / "validation").glob("*.nii.gz")}
    assert validated == set(label_maps(trained.fold(TRAINER) / "validation")), "labelled cases of the same fold"
