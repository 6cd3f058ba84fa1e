"""-tr nnUNetTrainerLinearProbe: what a pretrained network knows already, when only its output layer is trained."""

from nnunetv2_muduo.transfer.linear_probe import LinearProbeTrainer


class nnUNetTrainerLinearProbe(LinearProbeTrainer):
    """Needs -pretrained_weights; see `muduo import-mae`, and `muduo split` for few labelled cases."""
