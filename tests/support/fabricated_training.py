"""Trainers for steps on fabricated batches: no scans, no teachers, a tiny network."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from nnunet_variables import set_nnunet_folders
from planned_dataset import DATASET_JSON, unet_plans, write_planned_dataset
from torch import Tensor

from nnunetv2_muduo.semisupervised.trainer import Consistency, SemiSupervisedTrainer

PATCH = (8, 16, 16)


class nnUNetTrainerPull(SemiSupervisedTrainer):  # noqa: N801
    """Pulls the student's probabilities of the first organ towards one and remembers what it was given."""

    scalar_log_keys = ("pulls",)
    organ_log_keys = ("organ_pulls",)

    def consistency(self, logits: Tensor, unlabelled: dict) -> Consistency:
        self.seen = logits
        loss = 1 - logits.softmax(1)[:, 1].mean()
        return Consistency(loss, {"pulls": float(loss.detach()), "organ_pulls": np.array([1.0, np.nan])})


def trainers_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SemiSupervisedTrainer]:
    """Makes initialised trainers of fold 0 on the CPU, with settings; nnU-Net's folders are below `tmp_path`."""
    set_nnunet_folders(tmp_path, monkeypatch)
    folder = write_planned_dataset(tmp_path / "nnUNet_preprocessed")
    (folder / "nnUNetPlans_3d_fullres").mkdir()
    for case in "abcd":
        (folder / "nnUNetPlans_3d_fullres" / f"{case}.b2nd").touch()  # cases by name, nothing more

    return fabricated_trainer


def fabricated_trainer(
    continues: bool = False,
    dataset_json: dict = DATASET_JSON,
    trainer_class: type = nnUNetTrainerPull,
    batch_dice: bool = False,
    **settings,
) -> SemiSupervisedTrainer:
    """An initialised trainer of fold 0 on the CPU; nnU-Net's folders are those of `trainers_in`."""
    plans = unet_plans(patch_size=PATCH, features=4)
    plans["configurations"]["3d_fullres"]["batch_dice"] = batch_dice
    settings = {"seed": 0, "num_epochs": 10, "iterations_per_epoch": 2, **settings}
    plans |= {"continue_training": continues, "muduo": settings}
    trainer = trainer_class(plans, "3d_fullres", 0, copy.deepcopy(dataset_json), torch.device("cpu"))
    trainer.initialize()
    return trainer


def batch(seed: int = 0, unlabelled: int = 2) -> dict:
    """What `PairedLoader` hands out, but random: two labelled patches and some unlabelled ones."""
    generator = torch.Generator().manual_seed(seed)
    target = [torch.randint(0, 3, (2, 1, *(size // 2**i for size in PATCH)), generator=generator) for i in range(2)]
    images = torch.randn(2 + unlabelled, 2, *PATCH, generator=generator)
    unlabelled_images = {"image": images[2:], "clean": images[2:] + 0.01, "raw": 100 * images[2:]}
    unlabelled_images["orientations"] = [None] * unlabelled
    return {"data": images[:2], "target": target, "unlabelled": unlabelled_images}


def weights(trainer: SemiSupervisedTrainer) -> Tensor:
    """All parameters of the student in one row."""
    return torch.cat([parameter.detach().flatten() for parameter in trainer.network.parameters()])


def never_compiles(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
    """A backend of torch.compile for what must not be compiled."""
    raise AssertionError("compiled")
