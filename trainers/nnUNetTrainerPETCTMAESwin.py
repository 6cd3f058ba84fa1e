"""-tr nnUNetTrainerPETCTMAESwin: pretrain a SwinUNETR-v2 on PET/CT without labels, as a masked autoencoder."""

from nnunetv2_muduo.swin.trainers import SwinMAETrainer


class nnUNetTrainerPETCTMAESwin(SwinMAETrainer):
    """nnUNetTrainerPETCTMAE with the network of plans["mae"]["swin"] ("small", "base", "large") instead of the planned.

    Needs MONAI: pip install 'nnunetv2-muduo[swin]'. Its checkpoint_final.pth is for nnUNetTrainerPETCTSwin.
    """
