"""What trainings leave behind, made by hand in no time: checkpoints, logs, validation, and the scans they were of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from evaluated_folders import DATASET as DATASET_JSON
from evaluated_folders import SPACING_ZYX, reference_labels, write_labels

DATASET = "Dataset007_Tiny"
ORGANS = ("liver", "spleen", "lesion")
STARTED = 1_700_000_000.0
SECONDS = 30.0  # of an epoch
PLANS = {
    "dataset_name": DATASET,
    "plans_name": "nnUNetPlans",
    "configurations": {
        "3d_fullres": {
            "patch_size": [8, 8, 16],
            "spacing": [3.0, 2.0, 2.0],
            "batch_size": 2,
            "normalization_schemes": ["CTNormalization", "ZScoreNormalization"],
            "architecture": {"network_class_name": "some.where.PlainConvUNet", "arch_kwargs": {}},
        }
    },
    "muduo": {"keep_fraction": 0.25, "num_epochs": 4},
}


def logged(epochs: int, **more: list) -> dict[str, list]:
    """nnU-Net's lists, numpy's numbers among them as in its checkpoints; `more` is logged as well."""
    steps = range(epochs)
    return {
        "mean_fg_dice": [np.float32(0.1 * (e + 1)) for e in steps],
        "ema_fg_dice": [np.float32(0.1 + 0.05 * e) for e in steps],
        "dice_per_class_or_region": [[np.float32(0.1 * (e + 1)), np.float32(0.2), np.float32("nan")] for e in steps],
        "train_losses": [np.float32(1.0 - 0.3 * e) for e in steps],
        "val_losses": [np.float32(0.9 - 0.2 * e) for e in steps],
        "lrs": [0.01 * (1 - e / 10) for e in steps],
        "epoch_start_timestamps": [STARTED + SECONDS * e for e in steps],
        "epoch_end_timestamps": [STARTED + SECONDS * (e + 1) for e in steps],
        **more,
    }


def summary(dice: dict[str, dict[str, float]]) -> dict[str, Any]:
    """nnU-Net's summary.json for case -> organ -> Dice."""
    keys = {organ: str(DATASET_JSON["labels"][organ]) for organ in ORGANS}
    columns = {organ: [case[organ] for case in dice.values() if np.isfinite(case[organ])] for organ in ORGANS}
    means = {organ: float(np.mean(values)) if values else float("nan") for organ, values in columns.items()}
    return {
        "foreground_mean": {"Dice": float(np.mean(list(means.values())))},
        "mean": {keys[organ]: {"Dice": means[organ]} for organ in ORGANS},
        "metric_per_case": [
            {
                "metrics": {keys[organ]: {"Dice": value} for organ, value in values.items()},
                "prediction_file": f"/elsewhere/validation/{case}.nii.gz",
                "reference_file": f"/elsewhere/gt_segmentations/{case}.nii.gz",
            }
            for case, values in dice.items()
        ],
    }


def write_fold(
    results: Path,
    *,
    trainer: str = "nnUNetTrainerMuDuo",
    plans_name: str = "nnUNetPlans",
    fold: str = "0",
    log: dict[str, list] | None = None,
    dice: dict[str, dict[str, float]] | None = None,
    checkpoint: str = "checkpoint_final.pth",
    plans: dict | None = None,
) -> Path:
    """A fold's folder below `results`; with `dice` (case -> organ -> Dice) also its validation."""
    plans = {**(plans or PLANS), "plans_name": plans_name}
    folder = results / DATASET / f"{trainer}__{plans_name}__3d_fullres" / f"fold_{fold}"
    folder.mkdir(parents=True)
    (folder.parent / "plans.json").write_text(json.dumps(plans))
    (folder.parent / "dataset.json").write_text(json.dumps(DATASET_JSON))
    debug = {"num_epochs": "4", "device": "cpu", "torch_version": "2.7.1", "cudnn_version": "None"}
    (folder / "debug.json").write_text(json.dumps(debug))
    log = logged(4) if log is None else log
    weight = torch.zeros(5)
    content = {
        "network_weights": {"encoder.weight": weight, "decoder.encoder.weight": weight, "bias": torch.zeros(2)},
        "logging": log,
        "current_epoch": len(log["train_losses"]),
        "trainer_name": trainer,
        "_best_ema": np.float32(0.5),
        "init_args": {
            "plans": plans,
            "configuration": "3d_fullres",
            "fold": fold,
            "dataset_json": DATASET_JSON,
            "device": torch.device("cpu"),
        },
    }
    torch.save(content, folder / checkpoint)
    if dice is not None:
        (folder / "validation").mkdir()
        (folder / "validation" / "summary.json").write_text(json.dumps(summary(dice)))
        for case in dice:
            write_labels(folder / "validation", case, np.roll(reference_labels(), 1, axis=2))
    return folder


def write_scans(raw: Path, cases: tuple[str, ...]) -> None:
    """CT, PET and reference of some cases."""
    labels = reference_labels()
    for case in cases:
        write_labels(raw / DATASET / "labelsTr", case, labels)
        for channel, values in enumerate((labels * 50.0 - 100.0, labels * 2.0)):
            image = sitk.GetImageFromArray(values.astype(np.float32))
            image.SetSpacing(SPACING_ZYX[::-1])
            (raw / DATASET / "imagesTr").mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(image, str(raw / DATASET / "imagesTr" / f"{case}_{channel:04d}.nii.gz"))


def log_text(epochs: int, *, first: int = 0, done: bool = True, losses: float = 1.0) -> str:
    """A training log as nnU-Net writes it."""
    lines = ["2026-01-02 03:00:00.000001: This split has 4 training and 1 validation cases."]
    for epoch in range(first, first + epochs):
        time = f"2026-01-02 03:{epoch:02d}"
        lines += [
            f"{time}:01.000000: Epoch {epoch} ",
            f"{time}:01.100000: Current learning rate: 0.00{9 - epoch} ",
            f"{time}:31.000000: train_loss {losses - epoch} ",
            f"{time}:31.000000: val_loss -0.5 ",
            f"{time}:31.000000: Pseudo dice [np.float32(0.25), np.float32(0.75), np.float32(nan)] ",
            f"{time}:31.000000: Epoch time: 30.0 s ",
        ]
    return "\n".join([*lines, *(["2026-01-02 03:59:00.000000: Training done. "] if done else [])])
