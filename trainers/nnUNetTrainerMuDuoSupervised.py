"""-tr nnUNetTrainerMuDuoSupervised: stock nnU-Net training at MuDuo's budget, to compare with."""

import torch

from nnunetv2_muduo.semisupervised.checkpoints import WholeCheckpoints
from nnunetv2_muduo.semisupervised.run_length import set_run_length
from nnunetv2_muduo.settings import Settings


class nnUNetTrainerMuDuoSupervised(WholeCheckpoints):
    """nnUNetTrainer with the epochs and iterations of plans["muduo"], so that a comparison is fair."""

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net's signature)
    ) -> None:
        settings = Settings.from_plans(plans)
        super().__init__(plans, configuration, fold, dataset_json, device)
        set_run_length(self, settings)
