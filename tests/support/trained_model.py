"""A trained model as it lies in nnUNet_results, with tiny networks that nobody trained."""

import copy
import json
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from planned_dataset import DATASET, DATASET_JSON, unet_plans

TRAINER = "nnUNetTrainerMuDuo"


def network_of(plans: dict, seed: int, *, input_channels: int = 2, deep_supervision: bool = True) -> torch.nn.Module:
    """What nnU-Net builds from the plans."""
    torch.manual_seed(seed)
    manager = PlansManager(plans)
    return nnUNetTrainer.build_network_architecture(
        manager, manager.get_configuration("3d_fullres"), input_channels, 3, deep_supervision
    )


class Model:
    """A results folder as nnUNetTrainerMuDuo leaves it, with a tiny network in each fold."""

    def __init__(self, results: Path) -> None:
        self.plans = unet_plans(patch_size=(16, 16, 16), features=2) | {"muduo": {"points": 5}}
        self.folder = results / DATASET / f"{TRAINER}__nnUNetPlans__3d_fullres"
        self.folder.mkdir(parents=True)
        (self.folder / "plans.json").write_text(json.dumps(self.plans))
        (self.folder / "dataset.json").write_text(json.dumps(DATASET_JSON))
        (self.folder / "dataset_fingerprint.json").write_text("{}")

    def add_fold(self, fold: str, *, name: str = "checkpoint_final.pth", **network) -> torch.nn.Module:
        """Write a checkpoint with all that a trainer puts in it; returns its network."""
        trained = network_of(self.plans, seed=ord(fold[0]), **network)
        optimiser = torch.optim.SGD(trained.parameters(), 0.01, momentum=0.9)
        folder = self.folder / f"fold_{fold}"
        folder.mkdir(exist_ok=True)
        (folder / "progress.png").write_bytes(b"picture")
        checkpoint = {
            "network_weights": trained.state_dict(),
            "optimizer_state": optimiser.state_dict(),
            "grad_scaler_state": None,
            "logging": {"consistency_losses": [np.float64(0.5)]},
            "_best_ema": np.float64(0.5),
            "current_epoch": 3,
            "init_args": {
                "plans": copy.deepcopy(self.plans),
                "configuration": "3d_fullres",
                "fold": fold,
                "dataset_json": DATASET_JSON,
                "device": torch.device("cpu"),
            },
            "trainer_name": TRAINER,
            "inference_allowed_mirroring_axes": (0, 1, 2),
            "muduo": {"state of ours": 1},
        }
        torch.save(checkpoint, folder / name)
        return trained
