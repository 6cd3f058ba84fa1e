"""One training as its fold's folder tells of it; whatever is missing becomes a sentence, not a failure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nnunetv2_muduo.checkpoint_files import NUMPY_NUMBERS, read_checkpoint
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.evaluation.task import Task
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.reporting.log_text import LogText, read_log_texts
from nnunetv2_muduo.reporting.organs import task_in_order
from nnunetv2_muduo.reporting.understood import understood_checkpoint, understood_dataset, understood_plans
from nnunetv2_muduo.reporting.validation import Scores, scores_of

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth")
FINAL = CHECKPOINTS[0]
_MOST_DIGITS = 10
_PARTS = ("trainer", "plans_name", "configuration")  # of a model folder's name


@dataclass(frozen=True)
class Training:
    """A fold of a trained, or half-trained, model.

    Attributes:
        name: to tell it from the others.
        folder: of the fold.
        trainer, plans_name, configuration, fold, dataset: what is given to nnU-Net's commands; "" where unknown.
        plans, dataset_json: as it was trained with; empty where they are nowhere.
        task: what the labels mean; None where no label is known.
        logged: nnU-Net's logged lists, one value (or one per organ) an epoch.
        checkpoint: name of the file to predict with; None where there is none.
        finished: whether the training came to its end.
        planned_epochs: how long it should be; None where unknown.
        parameters: of the network; None where unknown.
        debug: nnU-Net's debug.json, all of it text.
        cases: "training", "validation", "unlabelled" -> how many, as far as known.
        validation: what nnU-Net's final validation found; None where there was none.
        notes: a sentence for each thing that was missing, and how to get it.
    """

    name: str
    folder: Path
    trainer: str
    plans_name: str
    configuration: str
    fold: str
    dataset: str
    plans: dict
    dataset_json: dict
    task: Task | None
    logged: dict[str, list]
    checkpoint: str | None
    finished: bool
    planned_epochs: int | None
    parameters: int | None
    debug: dict[str, str]
    cases: dict[str, int]
    validation: Scores | None
    notes: tuple[str, ...]

    @property
    def epochs(self) -> int:
        """How many are finished and known."""
        return len(self.logged.get("train_losses", []))

    @property
    def organs(self) -> tuple[str, ...]:
        """Names in the order of nnU-Net's logged lists."""
        return tuple(self.task.organs) if self.task else ()

    @property
    def is_pretraining(self) -> bool:
        """Whether it reconstructs images and so has no Dice."""
        return "MAE" in self.trainer

    @property
    def is_swin(self) -> bool:
        """Whether it trains a SwinUNETR-v2 instead of the planned network."""
        return "Swin" in self.trainer


def read_training(folder: Path, name: str) -> Training:
    """Read a fold's folder.

    Raises:
        UserError: if it is no such folder.
    """
    if not is_fold(folder):
        raise UserError(
            f"{folder} is no folder of a training: it has neither a checkpoint nor a training log; give one like "
            "nnUNet_results/Dataset221_X/nnUNetTrainerMuDuo__nnUNetPlans__3d_fullres/fold_0."
        )
    notes: list[str] = []
    logs = read_log_texts(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.glob("training_log_*.txt"), key=_when_begun)
    )
    begun_again = _begun_again(folder, logs, notes)
    file, content = _newest_checkpoint(folder, CHECKPOINTS[1:] if begun_again else CHECKPOINTS, notes)
    arguments = content.get("init_args") or {}
    plans = arguments.get("plans") or understood_plans(_table(folder.parent / "plans.json", notes), "plans.json", notes)
    dataset_json = arguments.get("dataset_json") or understood_dataset(
        _table(folder.parent / "dataset.json", notes), "dataset.json", notes
    )
    debug = {key: text for key, text in _table(folder / "debug.json", notes).items() if isinstance(text, str)}
    task = task_in_order(dataset_json)
    logged = _best_log(content, logs, notes)
    parts = _named_parts(folder, content, plans)
    finished = not begun_again and ((folder / FINAL).is_file() or (file is None and logs.done))
    training = Training(
        name=name,
        folder=folder,
        **parts,
        plans=dict(plans),
        dataset_json=dict(dataset_json),
        task=task,
        logged=logged,
        checkpoint=file,
        finished=finished,
        planned_epochs=_whole(debug.get("num_epochs")),
        parameters=_parameters(content),
        debug=debug,
        cases=logs.cases,
        validation=_validation(folder, task, notes, expected="MAE" not in parts["trainer"]),
        notes=tuple(notes),
    )
    return training


def _when_begun(log: Path) -> tuple[list[int], str]:
    """Numbers of training_log_2026_9_30_...: nnU-Net writes months and days without zeros in front."""
    return [int(number) for number in re.findall(r"\d+", log.stem)], log.name


def is_fold(folder: Path) -> bool:
    """Whether a training left anything there."""
    return any(folder.glob("checkpoint_*.pth")) or any(folder.glob("training_log_*.txt"))


def _begun_again(folder: Path, logs: LogText, notes: list[str]) -> bool:
    """Whether a training is under way, or was broken off, in the folder of one that came to its end before."""
    begun = (folder / FINAL).is_file() and bool(logs.logged.get("train_losses")) and not logs.done
    if begun:
        notes.append(
            f"The log goes on after {FINAL} was written: a training was begun again in this folder, and is what is "
            "shown; the final checkpoint and the validation are still those of the earlier one."
        )
    return begun


def _newest_checkpoint(folder: Path, names: Sequence[str], notes: list[str]) -> tuple[str | None, dict[str, Any]]:
    """The final one or, without it, the one of most epochs; the others are not opened."""
    found: list[tuple[int, str, dict[str, Any]]] = []
    for name in names:
        if not (folder / name).is_file():
            continue
        try:
            content = understood_checkpoint(read_checkpoint(folder / name, allowed=NUMPY_NUMBERS), name, notes)
        except UserError as error:
            notes.append(f"{name} tells nothing: {error}")
            continue
        found.append((int(content.get("current_epoch") or 0), name, content))
        if name == FINAL:
            break
    if not found:
        notes.append("There is no checkpoint to read, so the curves are those of the training log, as far as it goes.")
        return None, {}
    _, name, content = max(found, key=lambda item: item[0])
    return name, content


def _best_log(content: Mapping[str, Any], logs: LogText, notes: list[str]) -> dict[str, list]:
    """A checkpoint's curves; the text's where those are longer, which lacks everything but nnU-Net's own values."""
    saved = dict(content.get("logging") or {})
    known, printed = (len(each.get("train_losses", [])) for each in (saved, logs.logged))
    if not printed or printed <= known:
        return saved
    if known:
        notes.append(
            f"The newest checkpoint is of {known} epochs, the log of {printed}: nnU-Net's own curves are drawn as far "
            "as the log goes (rounded as printed there), the others as far as the checkpoint."
        )
    return saved | logs.logged


def _named_parts(folder: Path, content: Mapping[str, Any], plans: Mapping[str, Any]) -> dict[str, str]:
    """From the folders' names, as nnU-Net makes them, else from the checkpoint."""
    arguments = content.get("init_args") or {}
    names = folder.resolve().parent.name.split("__")
    parts = dict(zip(_PARTS, names, strict=True)) if len(names) == len(_PARTS) else {}
    dataset = folder.resolve().parent.parent.name
    fold = folder.resolve().name
    return {
        "trainer": parts.get("trainer") or str(content.get("trainer_name") or ""),
        "plans_name": parts.get("plans_name") or str(plans.get("plans_name") or ""),
        "configuration": parts.get("configuration") or str(arguments.get("configuration") or ""),
        "fold": fold.removeprefix("fold_") if fold.startswith("fold_") else str(arguments.get("fold", "")),
        "dataset": dataset if dataset.startswith("Dataset") else str(plans.get("dataset_name") or ""),
    }


def _validation(folder: Path, task: Task | None, notes: list[str], *, expected: bool) -> Scores | None:
    path = folder / "validation" / "summary.json"
    if not path.is_file():
        if expected:
            notes.append(
                "There is no validation/summary.json, so no Dice of whole cases: run the training's command again with "
                "--val once it is finished."
            )
        return None
    if task is None:
        notes.append("The dataset.json names no labels, so the validation's Dice cannot be given organ by organ.")
        return None
    try:
        return scores_of(read_table(path), task.keys, file_ending=task.file_ending)
    except (UserError, KeyError, TypeError, AttributeError, ValueError) as error:
        notes.append(f"{path} cannot be read ({error}); run the training's command again with --val.")
        return None


def _table(path: Path, notes: list[str]) -> dict:
    if not path.exists():
        notes.append(f"{path.name} is missing (nnU-Net writes it when a training starts).")
        return {}
    try:
        return read_table(path)
    except UserError:
        notes.append(f"{path.name} cannot be read as a JSON table.")
    return {}


def _parameters(content: Mapping[str, Any]) -> int | None:
    """Numbers in the network, indices aside; nnU-Net's decoders list their encoder's tensors a second time."""
    tensors = [tensor for tensor in (content.get("network_weights") or {}).values() if isinstance(tensor, Tensor)]
    sizes = {tensor.data_ptr(): tensor.numel() for tensor in tensors if tensor.is_floating_point()}
    return sum(sizes.values()) or None


def _whole(text: Any) -> int | None:
    return int(text) if str(text).isdecimal() and len(str(text)) < _MOST_DIGITS else None
