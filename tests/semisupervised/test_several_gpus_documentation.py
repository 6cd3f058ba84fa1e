"""What docs/several_gpus.md says of nnU-Net is so."""

import inspect

from nnunetv2.run import run_training
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


def test_nnunet_still_keeps_a_training_on_one_machine():
    """Where this fails, nnU-Net has changed, and the page and `refuse_unconnected_processes` want another look."""
    assert "os.environ['MASTER_ADDR'] = 'localhost'" in inspect.getsource(run_training.run_training)
    assert "world_size" in inspect.signature(run_training.run_ddp).parameters
    assert "torch.device(type='cuda', index=self.local_rank)" in inspect.getsource(nnUNetTrainer.__init__)


def test_nnunet_still_looks_for_no_trainer_before_it_starts_processes():
    """Where this fails, mistakes may be told in one sentence with several GPUs, too."""
    source = inspect.getsource(run_training.run_training)
    assert source.index("mp.spawn(run_ddp") < source.index("get_trainer_from_args")
