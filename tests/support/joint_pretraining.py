"""What each of two processes does in the test of pretraining on several GPUs; see `two_processes`."""

import copy
from contextlib import suppress
from pathlib import Path

import torch
import torch.distributed as dist

from nnunetv2_muduo.trainers.nnUNetTrainerPETCTMAE import nnUNetTrainerPETCTMAE


class JointPretraining(nnUNetTrainerPETCTMAE):
    """Remembers its patches and losses, and stops after so many epochs where it is told to."""

    stops_after: int | None = None

    def initialize(self) -> None:  # nnU-Net looks at the signature of __init__
        super().initialize()
        self.seen: list[torch.Tensor] = []
        self.losses: list[float] = []

    def train_step(self, batch: dict) -> dict:
        self.seen.append(batch["data"].clone())
        told = super().train_step(batch)
        self.losses.append(told["loss"])
        return told

    def on_epoch_end(self) -> None:
        super().on_epoch_end()
        if self.current_epoch == self.stops_after:
            raise KeyboardInterrupt


JointPretraining.__name__ = "nnUNetTrainerPETCTMAE"


def pretrain_and_resume(rank: int, plans: dict, dataset_json: dict, settings: dict) -> dict:
    """Pretraining from the raw scans on, stopped after an epoch and taken up again; a seed is drawn."""

    def trainer(*, continues: bool) -> JointPretraining:
        given = {**copy.deepcopy(plans), "mae": settings, "continue_training": continues}
        made = JointPretraining(given, "3d_fullres", "all", copy.deepcopy(dataset_json), torch.device("cuda"))
        made.save_every = 1
        return made

    first = trainer(continues=False)
    first.stops_after = 1
    with suppress(KeyboardInterrupt):
        first.run_training()
    resumed = trainer(continues=True)
    latest = Path(first.output_folder) / "checkpoint_latest.pth"
    dist.barrier()  # the first process may still be writing it
    resumed.load_checkpoint(str(latest))
    before, after = _weights(first).clone(), _weights(resumed).clone()
    resumed.run_training()
    return {
        "seeds": (first.seed, resumed.seed),
        "batch size": first.batch_size,
        "cases": first.cases.roles(),
        "before": before,
        "after": after,
        "final": _weights(resumed),
        "patches": first.seen + resumed.seen,
        "losses": first.losses + resumed.losses,
        "logged": resumed.logger.get_checkpoint()["train_losses"],
        "folder": Path(resumed.output_folder),
    }


def _weights(trainer: JointPretraining) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.network.parameters()])
