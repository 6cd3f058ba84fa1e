"""The published downstream training: what is learnt on top of pretrained weights, or to compare with them."""

from dataclasses import replace

import torch

from nnunetv2_muduo.training.configured import ConfiguredTrainer

LEARNING_RATE = 5e-4  # AdamW, 100 epochs: the downstream training of arXiv 2605.21835
EPOCHS = 100


class DownstreamTrainer(ConfiguredTrainer):
    """nnU-Net's training without deep supervision, with AdamW at 5e-4 for 100 epochs.

    plans["muduo"] can name another optimiser, rate or number of epochs.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net's signature)
    ) -> None:
        given = dict(plans.get("muduo", {}))
        super().__init__(plans, configuration, fold, dataset_json, device)
        if "optimizer" not in given:
            self.settings = replace(self.settings, optimizer="adamw")
            self.initial_lr = self.settings.initial_lr or LEARNING_RATE
        self.enable_deep_supervision = False

    def epochs_asked_for(self) -> int | None:
        return self.settings.num_epochs or EPOCHS
