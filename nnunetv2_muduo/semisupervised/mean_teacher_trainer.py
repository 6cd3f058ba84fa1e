"""What Mean Teacher and its descendants share: an averaged student that sees what the student sees, but clean."""

import torch
from torch import Tensor

from nnunetv2_muduo.distillation import clipped_noise
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.training.seeding import Stream


class MeanTeacherTrainer(SemiSupervisedTrainer):
    """The average of the student answers for the clean patch with a little noise, the student for the augmented one."""

    @property
    def needs_ema(self) -> bool:
        return True

    def initialize(self) -> None:
        super().initialize()
        self.noise = torch.Generator(device=self.device)
        self.noise.seed()

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        seed = self.seed_of_epoch(Stream.NOISE)  # a resumed training draws what it would have drawn
        if seed is not None:
            self.noise.manual_seed(seed)

    def teacher_probabilities(self, unlabelled: dict) -> Tensor:
        """[B, 1 + K, Z, Y, X] of the averaged student, without gradients, its noise drawn anew with every call."""
        clean = unlabelled["clean"].to(self.device, non_blocking=True)
        return self.ema_logits(clean + clipped_noise(clean.shape, generator=self.noise)).softmax(1)
