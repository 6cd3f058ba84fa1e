"""The published learning rates in the shape that nnU-Net's training loop asks for."""

from torch.optim import Optimizer

from nnunetv2_muduo.pretraining import cosine_rate


class CosineScheduler:
    """Sets an optimiser's learning rate to that of an epoch; it keeps no state that a checkpoint would have to hold.

    Args:
        optimizer: all of its parameter groups get the same rate.
        epochs: of the training.
        initial, final: see `cosine_rate`.
    """

    def __init__(self, optimizer: Optimizer, epochs: int, *, initial: float, final: float) -> None:
        self.optimizer, self.epochs, self.initial, self.final = optimizer, epochs, initial, final
        self.step(0)

    def step(self, epoch: int) -> None:
        rate = cosine_rate(epoch, self.epochs, initial=self.initial, final=self.final)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
