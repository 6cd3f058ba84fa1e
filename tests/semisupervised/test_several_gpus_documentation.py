"""What docs/several_gpus.md says is what there is."""

import inspect
import re
import shlex
from pathlib import Path

from nnunetv2.run import run_training
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo import cli

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "several_gpus.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_is_accepted():
    lines = re.findall(r"^    (muduo .+)$", PAGE, re.MULTILINE)
    commands = [command for line in lines for command in line.split(" && ")]
    assert len(commands) == 4
    for command in commands:
        cli.build_parser().parse_args(shlex.split(command)[1:])


def test_nnunet_still_keeps_a_training_on_one_machine():
    """Where this fails, nnU-Net has changed, and the page and `refuse_unconnected_processes` want another look."""
    assert "os.environ['MASTER_ADDR'] = 'localhost'" in inspect.getsource(run_training.run_training)
    assert "world_size" in inspect.signature(run_training.run_ddp).parameters
    assert "torch.device(type='cuda', index=self.local_rank)" in inspect.getsource(nnUNetTrainer.__init__)
