"""Pretrained weights through the stock commands, on a small phantom: split, import, probe, fine-tune, predict."""

import json
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch
from nnunet_project import SPACING_IN_MM, NNUNetProject, network_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from pretrained_files import write_own_pretraining
from torch import Tensor

from nnunetv2_muduo.datasets.phantom import write_phantom_dataset

pytestmark = pytest.mark.slow


class Project(NNUNetProject):
    """With weights pretrained on PET and CT, in this order."""

    def import_weights(self, trainer: str = "nnUNetTrainer") -> Path:
        out = self.folder / f"{trainer}.pth"
        if not out.is_file():
            self.muduo("import-mae", str(self.pretrained), "-d", "221", "-tr", trainer, "-o", str(out))
        return out

    def final(self, trainer: str) -> Path:
        return self.fold(trainer) / "checkpoint_final.pth"

    @property
    def left_over(self) -> set[str]:
        """Labelled cases that the split left over."""
        (fold,) = json.loads((self.preprocessed / "splits_final.json").read_text())
        cases = {path.name.removesuffix(".nii.gz") for path in (self.raw / "labelsTr").glob("*.nii.gz")}
        return cases - {*fold["train"], *fold["val"]}

    @property
    def pretrained(self) -> Path:
        return self.folder / "pretrained.pth"

    def pretrain(self) -> None:
        """Seeded weights instead of a pretraining: of the planned network, with a head for two channels."""
        plans = json.loads((self.preprocessed / "nnUNetPlans.json").read_text())
        manager = PlansManager(json.loads(json.dumps(plans)))
        torch.manual_seed(0)
        network = nnUNetTrainer.build_network_architecture(
            manager, manager.get_configuration("3d_fullres"), 2, 2, enable_deep_supervision=False
        )
        plans["configurations"]["3d_fullres"]["normalization_schemes"].reverse()
        write_own_pretraining(self.pretrained, network, plans, channel_names=("PET", "CT"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("nnunet"))
    write_phantom_dataset(project.raw, labelled=4, unlabelled=0, test=1, seed=0, spacing_in_mm=SPACING_IN_MM)
    project.plan_and_preprocess()
    project.muduo("plan", "-d", "221", "--preset", "tiny", "--set", "num_epochs=1", "iterations_per_epoch=3")
    project.muduo("split", "-d", "221", "--labelled", "1", "--validation", "1", "--rest-unlabelled")
    project.pretrain()
    return project


@pytest.fixture(scope="module")
def probed(project: Project) -> Project:
    """Trained for one epoch, and for another one after it was taken up again."""
    project.train("nnUNetTrainerLinearProbe", "-pretrained_weights", str(project.import_weights()))
    project.first_epoch = network_weights(project.final("nnUNetTrainerLinearProbe"))
    project.muduo("plan", "-d", "221", "--set", "num_epochs=2")
    project.resumed_output = project.train("nnUNetTrainerLinearProbe", "--c")
    return project


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if name in after and not torch.equal(before[name], after[name])}


def test_a_probe_leaves_the_pretrained_weights_as_they_were(probed: Project):
    imported, after = (
        network_weights(probed.import_weights()),
        network_weights(probed.final("nnUNetTrainerLinearProbe")),
    )
    assert set(after) - set(imported) == {name for name in after if ".seg_layers." in name}
    assert not changed(imported, after)


def test_a_probe_is_continued_and_changes_its_output_layer_alone(probed: Project):
    assert "Epoch 1" in probed.resumed_output
    assert "Epoch 0" not in probed.resumed_output
    after = network_weights(probed.final("nnUNetTrainerLinearProbe"))
    last = max(name for name in after if ".seg_layers." in name).rpartition(".")[0]
    assert changed(probed.first_epoch, after) == {f"{last}.weight", f"{last}.bias"}


def test_a_checkpoint_of_a_real_training_can_be_brought_in(probed: Project):
    out = probed.folder / "again.pth"
    probed.muduo("import-mae", str(probed.final("nnUNetTrainerLinearProbe")), "-d", "221", "-o", str(out))
    assert not changed(network_weights(out), network_weights(probed.import_weights()))


def test_stock_prediction_uses_the_probe(probed: Project):
    images = probed.raw / "imagesTs"
    out = probed.predict("nnUNetTrainerLinearProbe", images, probed.folder / "predicted")
    (image,) = images.glob("*_0000.nii.gz")
    predicted = sitk.ReadImage(str(out / image.name.replace("_0000", "")))
    assert predicted.GetSize() == sitk.ReadImage(str(image)).GetSize()


def test_muduo_and_its_prompt_generator_start_from_imported_weights(probed: Project):
    """Stock training, but for the PET channel alone; then MuDuo, whose unlabelled scans the split left over."""
    probed.muduo("plan", "-d", "221", "--set", "num_epochs=1", "iterations_per_epoch=1")
    for trainer in ("nnUNetTrainerMuDuoPrompt", "nnUNetTrainerMuDuo"):
        file = probed.import_weights(trainer)
        output = probed.train(trainer, "-pretrained_weights", str(file))
        assert f"Loading pretrained weights from file  {file}" in output
        started, ended = network_weights(file), network_weights(probed.final(trainer))
        assert changed(started, ended)
        assert all((started[name] - ended[name]).abs().max() < 0.1 for name in started)  # one step away
    assert "using the trained one" in output
    unlabelled = probed.preprocessed / "nnUNetPlans_3d_fullres_unlabelled"
    assert sorted(path.stem for path in unlabelled.glob("*.pkl")) == sorted(probed.left_over)
