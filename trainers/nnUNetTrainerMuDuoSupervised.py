"""-tr nnUNetTrainerMuDuoSupervised: stock nnU-Net training at MuDuo's budget, to compare with."""

from nnunetv2_muduo.training.ema_trainer import EmaTrainer


class nnUNetTrainerMuDuoSupervised(EmaTrainer):
    """nnUNetTrainer with the length, seed and optimiser of plans["muduo"], so that a comparison is fair.

    `predict_with` "ema" averages its weights as well: what that alone is worth.
    """
