"""A trainer as nnU-Net makes it, without its data and without a trace in nnU-Net's folders."""

import contextlib
import copy
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from nnunetv2_muduo.environment import environment, without_wandb
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES


@contextlib.contextmanager
def throwaway_trainer(
    trainer_class: type[nnUNetTrainer], plans: dict, *, configuration: str, dataset_json: dict
) -> Iterator[nnUNetTrainer]:
    """A trainer on the CPU, not initialised; its folders, and what it prints, are gone afterwards.

    nnU-Net asks the environment for its folders each time, so that they can be elsewhere for a while; so it is with
    Weights & Biases, of which no run is opened.

    Args:
        trainer_class: any trainer.
        plans: nnU-Net's plans; not changed.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
    """
    plans = {**copy.deepcopy(plans), "continue_training": False}
    with (
        tempfile.TemporaryDirectory() as folder,
        environment(dict.fromkeys(FOLDER_VARIABLES, folder)),
        without_wandb(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        fold = "all"  # which every trainer takes
        trainer = trainer_class(plans, configuration, fold, copy.deepcopy(dataset_json), torch.device("cpu"))
        preprocessed = Path(trainer.preprocessed_dataset_folder)
        preprocessed.mkdir(parents=True)
        (preprocessed / "case.b2nd").touch()  # by whose ending nnU-Net tells the format of a dataset
        yield trainer


def keep_in_place(module: nn.Module) -> nn.Module:
    """Make a module ignore `to` and the like: torch cannot move tensors without values."""
    module._apply = lambda function, recurse=True: module  # type: ignore[method-assign,assignment]
    return module
