"""-tr nnUNetTrainerMuDuoSupervised: stock nnU-Net training at MuDuo's budget, to compare with."""

from nnunetv2_muduo.semisupervised.configured import ConfiguredTrainer


class nnUNetTrainerMuDuoSupervised(ConfiguredTrainer):
    """nnUNetTrainer with the length, seed and optimiser of plans["muduo"], so that a comparison is fair."""
