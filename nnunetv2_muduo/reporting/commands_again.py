"""The stock commands that train and predict with a model again."""

import json
from shlex import quote

from nnunetv2_muduo.nnunet_folders import DEFAULT_CONFIGURATION, DEFAULT_PLANS
from nnunetv2_muduo.reporting.settings_rows import table_of, uses_settings
from nnunetv2_muduo.reporting.training import FINAL, Training
from nnunetv2_muduo.trainer_folder import trainer_folder

_STOCK = "nnUNetTrainer"


def commands_again(training: Training) -> list[str]:
    """Command lines, in the order to type them; empty where too little is known of the training."""
    known = (training.dataset, training.configuration, training.trainer, training.fold)
    if not all(known):
        return []
    plans = [] if training.plans_name in ("", DEFAULT_PLANS) else ["-p", training.plans_name]
    trainer = [] if training.trainer == _STOCK else ["-tr", training.trainer]
    device = training.debug.get("device", "").partition(":")[0]
    on = ["-device", device] if device in ("cpu", "mps") else []
    train = ["nnUNetv2_train", training.dataset, training.configuration, training.fold, *trainer, *plans, *on]
    lines = ['export nnUNet_extTrainer="$(muduo trainers)"'] if _is_ours(training.trainer) else []
    lines += _set_again(training, plans)
    lines.append(_line(train) + ("" if training.finished or not training.checkpoint else " --c"))
    return [*lines, *_use(training, trainer, plans, on)]


def _set_again(training: Training, plans: list[str]) -> list[str]:
    """What puts the settings that the training was given into the plans, which may have others by now.

    Settings that the training left at their defaults, and the plans do not by now, stay as the plans have them.
    """
    if not _is_ours(training.trainer):
        return []
    given = [
        f"{prefix}{key}={json.dumps(value)}"
        for table, prefix in {"muduo": "", "mae": "mae."}.items()
        if uses_settings(training, table)
        for key, value in table_of(training.plans, table).items()
    ]
    configuration = [] if training.configuration == DEFAULT_CONFIGURATION else ["-c", training.configuration]
    return [_line(["muduo", "plan", "-d", training.dataset, *configuration, *plans, "--set", *given])] if given else []


def _use(training: Training, trainer: list[str], plans: list[str], on: list[str]) -> list[str]:
    if training.checkpoint is None:
        return []
    if training.is_pretraining:
        with_trainer = ["-tr", "nnUNetTrainerPETCTSwin"] if training.is_swin else []
        weights = ["-pretrained_weights", str(training.folder / training.checkpoint)]
        return [_line(["nnUNetv2_train", "DATASET", "CONFIGURATION", "FOLD", *with_trainer, *plans, *weights])]
    checkpoint = [] if training.checkpoint == FINAL else ["-chk", training.checkpoint]
    model = ["-d", training.dataset, "-c", training.configuration, "-f", training.fold, *trainer, *plans]
    return [_line(["nnUNetv2_predict", "-i", "IN", "-o", "OUT", *model, *checkpoint, *on])]


def _is_ours(trainer: str) -> bool:
    return (trainer_folder() / f"{trainer}.py").is_file()


def _line(words: list[str]) -> str:
    return " ".join(quote(word) for word in words)
