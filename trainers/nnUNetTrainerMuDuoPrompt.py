"""-tr nnUNetTrainerMuDuoPrompt: the PET-only prompt generator of nnUNetTrainerMuDuo."""

from nnunetv2_muduo.semisupervised.prompt_trainer import PromptGeneratorTrainer


class nnUNetTrainerMuDuoPrompt(PromptGeneratorTrainer):
    """Trains nnU-Net's planned network on the PET channel of the labelled cases, for `prompt_epochs` epochs.

    nnUNetTrainerMuDuo trains it by itself where it is missing; run it first to train it longer or to look at it.
    """
