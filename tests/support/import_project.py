"""A planned dataset into which pretrained weights are brought."""

import json
from pathlib import Path

import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import DATASET_JSON, write_planned_dataset
from pretrained_files import transfer_plans
from torch import nn

from nnunetv2_muduo.transfer.weight_import import import_weights


class Project:
    """A planned dataset below `folder` whose plans and description the test may change."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plans = transfer_plans()
        self.dataset_json = dict(DATASET_JSON)
        self.dataset = write_planned_dataset(folder / "nnUNet_preprocessed", self.plans)
        self.log: list[str] = []

    @property
    def configuration(self) -> dict:
        return self.plans["configurations"]["3d_fullres"]

    def save(self) -> None:
        (self.dataset / "nnUNetPlans.json").write_text(json.dumps(self.plans))
        (self.dataset / "dataset.json").write_text(json.dumps(self.dataset_json))

    def bring_in(self, source: Path, **options) -> dict:
        self.save()
        output = self.folder / "imported.pth"
        import_weights(source, dataset=21, output=output, log=self.log.append, **options)
        return torch.load(output, weights_only=True)

    def network(self, trainer: type[nnUNetTrainer] = nnUNetTrainer, *, channels: int = 2) -> nn.Module:
        """The network as a training builds it, filled by nnU-Net's own -pretrained_weights from other weights."""
        manager = PlansManager(json.loads((self.dataset / "nnUNetPlans.json").read_text()))
        configuration = manager.get_configuration("3d_fullres")
        network = trainer.build_network_architecture(manager, configuration, channels, 3, True)
        load_pretrained_weights(network, self.folder / "imported.pth")
        return network.eval()
