"""-tr nnUNetTrainerPETCTSwin: segment with a SwinUNETR-v2, pretrained by nnUNetTrainerPETCTMAESwin or not."""

from nnunetv2_muduo.swin.trainers import SwinDownstreamTrainer


class nnUNetTrainerPETCTSwin(SwinDownstreamTrainer):
    """Trains the network of plans["mae"]["swin"] with AdamW at 5e-4 for 100 epochs, unless plans["muduo"] sets them.

    Needs MONAI, in training and in prediction: pip install 'nnunetv2-muduo[swin]'.
    """
