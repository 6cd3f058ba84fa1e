"""Pretraining and fine-tuning of a SwinUNETR-v2 in nnU-Net's training loop."""

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.mae_training.refusals import refuse_to_segment
from nnunetv2_muduo.mae_training.trainer import MAETrainer
from nnunetv2_muduo.swin.building import build_swin, require_monai
from nnunetv2_muduo.swin.refusals import refuse_unsupported
from nnunetv2_muduo.swin_sizes import SIZES
from nnunetv2_muduo.training.mistakes import answer_in_one_sentence
from nnunetv2_muduo.transfer.downstream import DownstreamTrainer
from nnunetv2_muduo.transfer.linear_probe import LinearProbeTrainer


class SwinNetworkTrainer(nnUNetTrainer):
    """Builds a SwinUNETR-v2 whatever network is planned; to be put before another trainer as a base class.

    Its size is plans["mae"]["swin"]. Pretraining and fine-tuning read the same entry, and nnU-Net keeps the plans with
    every model, so that prediction builds the network that was trained.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net's signature)
    ) -> None:
        answer_in_one_sentence()
        require_monai()
        MAESettings.from_plans(plans)  # a wrong size is refused before anything is written
        refuse_unsupported(type(self).__name__, plans, configuration)
        super().__init__(plans, configuration, fold, dataset_json, device)

    def print_plans(self) -> None:
        """What nnU-Net prints names the planned network."""
        super().print_plans()
        size = MAESettings.from_plans(self.plans_manager.plans).swin
        self.print_to_log_file(f"Trained is a SwinUNETR-v2 (size '{size}') instead of the planned network.")

    @staticmethod
    def build_network_architecture(
        plans_manager,
        configuration_manager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network has one output, so that there is nothing to supervise deeply."""
        size = MAESettings.from_plans(plans_manager.plans).swin
        return build_swin(size, input_channels=num_input_channels, output_channels=num_output_channels)


class SwinMAETrainer(SwinNetworkTrainer, MAETrainer):
    """Masked-autoencoder pretraining of a SwinUNETR-v2, see `MAETrainer`."""

    @staticmethod
    def build_network_architecture(
        plans_manager,
        configuration_manager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """One output for each input channel, and none of it to predict with, see `MAETrainer`."""
        refuse_to_segment(asked_to_train=enable_deep_supervision)
        return SwinNetworkTrainer.build_network_architecture(
            plans_manager, configuration_manager, num_input_channels, num_input_channels, False
        )

    def provenance(self) -> dict:
        """With the network that is trained instead of the one that is planned."""
        size = SIZES[self.settings.swin]
        arguments = {"depths": list(size.depths), "feature_size": size.features, "use_v2": True}
        trained = {"network_class_name": "monai.networks.nets.SwinUNETR", "arch_kwargs": arguments}
        return super().provenance() | {"architecture": trained}


class SwinDownstreamTrainer(SwinNetworkTrainer, DownstreamTrainer):
    """Segmentation with a SwinUNETR-v2, see `DownstreamTrainer`."""


class SwinLinearProbeTrainer(SwinNetworkTrainer, LinearProbeTrainer):
    """The output layer on top of a frozen SwinUNETR-v2, see `LinearProbeTrainer`."""
