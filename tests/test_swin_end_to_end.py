"""SwinUNETR-v2 by the commands a user types, on small phantoms: pretrain, fine-tune, predict, no export.

Interrupting and resuming is tested in tests/swin (bit by bit) and, by the commands, with the planned network.
"""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai_extra import needs_monai
from nnunet_project import SPACING_IN_MM, NNUNetProject, network_weights

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset

pytestmark = [pytest.mark.slow, needs_monai]

PRETRAINING, SEGMENTING = "nnUNetTrainerPETCTMAESwin", "nnUNetTrainerPETCTSwin"
PRESET = {
    "mae": {"num_epochs": 1, "iterations_per_epoch": 1, "val_iterations_per_epoch": 1, "seed": 0},
    "muduo": {"num_epochs": 1, "iterations_per_epoch": 1, "val_iterations_per_epoch": 1, "mirroring": False},
    "configurations": {"3d_fullres": {"patch_size": [32, 32, 64], "batch_size": 1}},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> NNUNetProject:
    project = NNUNetProject(tmp_path_factory.mktemp("nnunet"), plans="nnUNetPlansSwin")
    write_phantom_dataset(project.raw, labelled=2, unlabelled=1, test=1, seed=0, spacing_in_mm=SPACING_IN_MM)
    project.plan_and_preprocess()
    cases = sorted(path.name.removesuffix(".nii.gz") for path in (project.raw / "labelsTr").glob("*.nii.gz"))
    splits = [{"train": cases[:1], "val": cases[1:]}]
    (project.preprocessed / "splits_final.json").write_text(json.dumps(splits))
    preset = project.folder / "preset.json"
    preset.write_text(json.dumps(PRESET))
    project.muduo("plan", "-d", "221", "--preset", str(preset), "-o", project.plans)
    return project


@pytest.fixture(scope="module")
def fine_tuned(project: NNUNetProject) -> NNUNetProject:
    """Pretrained, and fine-tuned from that."""
    project.train(PRETRAINING, fold="all")
    checkpoint = project.fold(PRETRAINING, "all") / "checkpoint_final.pth"
    project.trained = project.train(SEGMENTING, "-pretrained_weights", str(checkpoint))
    return project


def test_fine_tuning_starts_from_the_pretrained_weights(fine_tuned: NNUNetProject):
    assert "swinViT.patch_embed.proj.weight shape" in fine_tuned.trained  # nnU-Net lists what it takes over
    fold = fine_tuned.fold(SEGMENTING)
    before, after = (
        network_weights(fine_tuned.fold(PRETRAINING, "all") / "checkpoint_final.pth"),
        network_weights(fold / "checkpoint_final.pth"),
    )
    assert list(before) == list(after)
    body = [name for name, tensor in after.items() if ".seg_layers." not in name and tensor.is_floating_point()]
    assert all((before[name] - after[name]).abs().max() < 0.01 for name in body)  # one step of 5e-4 away
    assert (fold / "validation" / "summary.json").is_file()


def test_stock_prediction_builds_the_network_again(fine_tuned: NNUNetProject):
    images = fine_tuned.raw / "imagesTs"
    out = fine_tuned.predict(SEGMENTING, images, fine_tuned.folder / "predicted")
    (image,) = images.glob("*_0000.nii.gz")
    predicted = sitk.ReadImage(str(out / image.name.replace("_0000", "")))
    assert predicted.GetSize() == sitk.ReadImage(str(image)).GetSize()
    assert np.isin(sitk.GetArrayFromImage(predicted), range(7)).all()


def test_export_refuses_a_network_that_stock_nnunet_cannot_build(fine_tuned: NNUNetProject):
    out = fine_tuned.folder / "exported"
    options = ("-d", "221", "-tr", SEGMENTING, "-p", fine_tuned.plans, "-f", "0", "-o", str(out))
    output = fine_tuned.muduo("export", *options, expect=2)
    assert "holds another network than the plans'" in output
    assert f"predict with nnUNetv2_predict -tr {SEGMENTING} instead" in output
    assert not list(out.rglob("*.pth"))


def test_own_pretraining_is_brought_in_for_the_same_network_alone(fine_tuned: NNUNetProject):
    source, out = fine_tuned.fold(PRETRAINING, "all") / "checkpoint_final.pth", fine_tuned.folder / "imported.pth"
    options = (str(source), "-d", "221", "-p", fine_tuned.plans, "-o", str(out))
    refused = fine_tuned.muduo("import-mae", *options, expect=2)
    assert "which nnUNetTrainer does not train; name a trainer that does: -tr nnUNetTrainerPETCTSwin" in refused
    output = fine_tuned.muduo("import-mae", *options, "-tr", SEGMENTING)
    assert f"-tr {SEGMENTING} -p {fine_tuned.plans} -pretrained_weights" in output
    imported, pretrained = network_weights(out), network_weights(source)
    assert set(pretrained) - set(imported) == {"decoder.seg_layers.0.weight", "decoder.seg_layers.0.bias"}
    assert all(torch.equal(imported[name], pretrained[name]) for name in imported)
