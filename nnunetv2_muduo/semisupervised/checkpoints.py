"""Checkpoints that are whole or not there, so that an interrupted training can always be continued."""

from pathlib import Path

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.files import replacing


class WholeCheckpoints(nnUNetTrainer):
    """nnU-Net's checkpoints, written under another name first: a kill while writing leaves the one before."""

    def save_checkpoint(self, filename: str) -> None:
        if self.local_rank > 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)
            return
        with replacing(Path(filename)) as partial:
            super().save_checkpoint(str(partial))
