"""-tr nnUNetTrainerPETCTSwinLinearProbe: what a SwinUNETR-v2 pretrained by nnUNetTrainerPETCTMAESwin knows already."""

from nnunetv2_muduo.swin.trainers import SwinLinearProbeTrainer


class nnUNetTrainerPETCTSwinLinearProbe(SwinLinearProbeTrainer):
    """Needs -pretrained_weights and MONAI, in training and in prediction: pip install 'nnunetv2-muduo[swin]'."""
