"""A training by nnU-Net's own function on a tiny dataset, as a scenario for `fault_trials`; always continued (--c).

Without the final validation, which is nnU-Net's, comes after the last checkpoint, and is done anew by each --c.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fault_meanings import blosc, is_there, pickled
from fault_trials import Scenario
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from trainable_dataset import DATASET, SETTINGS, TrainableDataset

from nnunetv2_muduo.distillation import consistency_weight
from nnunetv2_muduo.nnunet_folders import FOLDER_VARIABLES
from nnunetv2_muduo.semisupervised import trainer as semisupervised_trainer
from nnunetv2_muduo.trainer_folder import trainer_folder

STUDENT, GENERATOR = "nnUNetTrainerMuDuo", "nnUNetTrainerMuDuoPrompt"
EPOCHS, ITERATIONS = 3, 2
_TRAINING = SETTINGS | {
    "num_epochs": EPOCHS,
    "iterations_per_epoch": ITERATIONS,
    "prompt_epochs": 2,
    "report_every": EPOCHS,
    "teacher_cache": True,
    "cache_tiles": 2,
}


def training() -> Scenario:
    """Prompt generator, teacher cache and student in one command."""
    preprocessed, results = f"nnUNet_preprocessed/{DATASET}", f"nnUNet_results/{DATASET}"
    unlabelled = f"{preprocessed}/nnUNetPlans_3d_fullres_unlabelled"
    return Scenario(
        "nnUNetv2_train --c",
        _prepare,
        _train,
        results=(
            f"{results}/*/fold_0/checkpoint_final.pth",
            f"{unlabelled}/*",
            f"{unlabelled}_teacher_cache/**/*.*",
        ),
        meaning={
            "**/checkpoint_final.pth": curves_of,
            f"{unlabelled}/*.pkl": pickled,
            f"{unlabelled}/*.b2nd": blosc,
            "**/*": is_there,  # what hangs on patches that a continued training draws anew
        },
        unit=lambda path: path.split("_seg")[0].rsplit(".", 1)[0] if path.startswith(f"{unlabelled}/") else None,
        whole=(f"{unlabelled}/*",),
        damage=(f"{results}/*/fold_0/checkpoint_final.pth", f"{unlabelled}/*", f"{unlabelled}_teacher_cache/**/*.b2nd"),
        inputs=(f"{preprocessed}/nnUNetPlans_3d_fullres/*.b2nd", f"{preprocessed}/nnUNetPlans_3d_fullres/*.pkl"),
        joins=_joins,
        mistake=1,
    )


def curves_of(checkpoint: Path) -> str:
    """Lengths of all curves, lambda and the learning rate to the last digit; that no loss is missing."""
    logged = _logged(checkpoint)
    assert np.isfinite(logged["train_losses"]).all()
    assert np.isfinite(logged["val_losses"]).all()
    told = {"lengths": {key: len(values) for key, values in logged.items()}, "lrs": logged["lrs"]}
    return json.dumps(told | {"lambda": logged.get("consistency_weights")}, sort_keys=True)


def lambda_of_the_formula() -> list[float]:
    """What is logged at the end of each epoch, with the default settings."""
    total = EPOCHS * ITERATIONS
    return [consistency_weight(ITERATIONS * (epoch + 1), total, maximum=1.0) * 0.1 for epoch in range(EPOCHS)]


def _prepare(folder: Path) -> None:
    dataset = TrainableDataset(folder, pytest.MonkeyPatch())  # in a process of its own: nothing is to be undone
    plans = {**dataset.plans, "muduo": _TRAINING}
    (dataset.preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans))
    for file in dataset.unlabelled.iterdir():
        file.unlink()


def _train(folder: Path) -> int:
    """What `nnUNetv2_train ... --c` does."""
    for variable in FOLDER_VARIABLES:
        os.environ[variable] = str(folder / variable)
    os.environ |= {"nnUNet_extTrainer": str(trainer_folder()), "nnUNet_n_proc_DA": "0", "nnUNet_def_n_proc": "1"}
    semisupervised_trainer.default_num_processes = 1
    nnUNetTrainer.perform_actual_validation = lambda self, save_probabilities=False: None
    torch.set_num_threads(1)
    from nnunetv2.run.run_training import run_training

    try:
        run_training(DATASET, "3d_fullres", 0, STUDENT, continue_training=True, device=torch.device("cpu"))
    except Exception as error:
        sys.excepthook(type(error), error, error.__traceback__)  # as Python does with what nobody catches
        return 1
    return 0


def _joins(folder: Path) -> Callable[[], list[str]]:
    """Every epoch that a checkpoint holds after the fault is in the finished training's curves, to the last digit."""
    folds = {path.parent for path in folder.glob("nnUNet_results/*/*/fold_0/checkpoint_latest.pth")}
    before = {fold: _logged(fold / "checkpoint_latest.pth") for fold in folds}

    def differing() -> list[str]:
        found = []
        for fold, logged in before.items():
            after = _logged(fold / "checkpoint_final.pth")
            found += [
                f"the curve {key} of {fold.parent.name} does not go on"
                for key, values in logged.items()
                if repr(after[key][: len(values)]) != repr(values)
            ]
        return found

    return differing


def _logged(checkpoint: Path) -> dict[str, list]:
    return torch.load(checkpoint, map_location="cpu", weights_only=False)["logging"]
