"""A second student beside nnU-Net's one: a network of its own that nnU-Net's own step trains as well."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.amp.grad_scaler import GradScaler
from torch.nn.parallel import DistributedDataParallel

from nnunetv2_muduo.checkpoint_files import fill, fill_optimizer
from nnunetv2_muduo.semisupervised.trainer import SemiSupervisedTrainer
from nnunetv2_muduo.training.wrapped_network import unwrapped

_PARTS = ("network", "optimizer", "lr_scheduler", "grad_scaler", "ema")
_OWN_SEED = 1_000_003  # added to the seed: with the first student's, the two would be one


class SecondStudent:
    """Everything that nnU-Net's training step uses of a trainer, once more.

    The network is the planned one with other initial weights: drawn from a seed of its own, without touching the
    streams that everything else is drawn from. -pretrained_weights are not for it; they would make both students one.

    Args:
        trainer: initialised; not changed.
    """

    def __init__(self, trainer: SemiSupervisedTrainer) -> None:
        self.network = self._build(trainer)
        self.ema = None  # an average is one of the first student
        self.grad_scaler = None if trainer.grad_scaler is None else GradScaler(trainer.device.type)
        self.optimizer: Any = None
        self.lr_scheduler: Any = None
        with self.in_place_of_the_first(trainer):  # what nnU-Net configures is of the trainer's network
            trainer.optimizer, trainer.lr_scheduler = trainer.configure_optimizers()
        if trainer.is_ddp:
            synchronised = torch.nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
            self.network = DistributedDataParallel(synchronised, device_ids=[trainer.local_rank])

    @staticmethod
    def _build(trainer: SemiSupervisedTrainer) -> Any:
        seed = trainer.settings.seed
        with torch.random.fork_rng(devices=[]):  # networks are made on the CPU
            if seed is None:
                torch.default_generator.seed()
            else:
                torch.default_generator.manual_seed(seed + _OWN_SEED)  # torch.manual_seed would seed GPUs as well
            network = trainer.build_network_architecture(
                trainer.plans_manager,
                trainer.configuration_manager,
                trainer.num_input_channels,
                trainer.label_manager.num_segmentation_heads,
                trainer.enable_deep_supervision,
            )
        network = network.to(trainer.device)
        return torch.compile(network) if trainer._do_i_compile() else network

    @contextmanager
    def in_place_of_the_first(self, trainer: SemiSupervisedTrainer) -> Iterator[None]:
        """The trainer's parts are this student's, and the other way round, as long as this lasts."""
        self._exchange(trainer)
        try:
            yield
        finally:
            self._exchange(trainer)

    def begin_epoch(self, epoch: int) -> None:
        """What nnU-Net does for its own network when an epoch starts."""
        self.network.train()
        self.lr_scheduler.step(epoch)

    def labels(self, image: Tensor) -> Tensor:
        """Label map [B, Z, Y, X] int64 of images [B, C, Z, Y, X], without gradients.

        Without torch.compile's wrapper: it would see this smaller batch first and compile both students' training for
        batches of any size.
        """
        with torch.no_grad(), torch.autocast(image.device.type, enabled=image.device.type == "cuda"):
            output = unwrapped(self.network)(image)
        return (output if isinstance(output, Tensor) else output[0]).argmax(1)

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "network": unwrapped(self.network).state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "grad_scaler": None if self.grad_scaler is None else self.grad_scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Bring back what `state` returned."""
        fill(unwrapped(self.network), state["network"])
        fill_optimizer(self.optimizer, state["optimizer"])
        if self.grad_scaler is not None and state["grad_scaler"] is not None:
            self.grad_scaler.load_state_dict(state["grad_scaler"])

    def _exchange(self, trainer: SemiSupervisedTrainer) -> None:
        for part in _PARTS:
            mine, theirs = getattr(self, part), getattr(trainer, part)
            setattr(self, part, theirs)
            setattr(trainer, part, mine)
