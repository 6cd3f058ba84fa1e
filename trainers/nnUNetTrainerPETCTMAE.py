"""-tr nnUNetTrainerPETCTMAE: pretrain nnU-Net's planned network on PET/CT without labels, as a masked autoencoder."""

from nnunetv2_muduo.mae_training.trainer import MAETrainer


class nnUNetTrainerPETCTMAE(MAETrainer):
    """Masked-autoencoder pretraining (arXiv 2605.21835) on labelled and unlabelled cases alike; fold "all".

    Blocks are hidden in CT and PET independently, hidden voxels are 0, and the network tells what they were. Use its
    checkpoint_final.pth with -pretrained_weights in any training with the same plans. Settings: plans["mae"].
    """
