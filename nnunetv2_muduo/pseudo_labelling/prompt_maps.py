"""Label maps from a trained nnU-Net model, by nnU-Net's own predictor: the prompts of a whole folder of scans."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from nnunetv2_muduo.cases.channels import channel_names
from nnunetv2_muduo.checkpoint_files import NUMPY_NUMBERS, read_checkpoint
from nnunetv2_muduo.datasets.nifti_checks import is_whole_image
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import file_stamp, write_text
from nnunetv2_muduo.json_files import table_or_nothing
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json, read_plans_file, single_label
from nnunetv2_muduo.pseudo_labelling.case_files import CaseJob, check_scan
from nnunetv2_muduo.trainer_folder import trainer_folder
from nnunetv2_muduo.worker_pool import run_jobs

_RECORD = "made_from.json"


@dataclass(frozen=True)
class PromptModel:
    """A trained nnU-Net model, stock or ours.

    Attributes:
        folder: nnUNet_results/DatasetXXX_NAME/TRAINER__PLANS__CONFIGURATION.
        folds: "0" to "4" or "all"; None: every fold that has the checkpoint.
        checkpoint: file name.
    """

    folder: Path
    folds: tuple[str, ...] | None = None
    checkpoint: str = "checkpoint_final.pth"

    def checkpoints(self) -> dict[str, Path]:
        """Fold -> checkpoint.

        Raises:
            UserError: if there is no such model or fold.
        """
        if not (self.folder / "plans.json").is_file():
            raise UserError(
                f"{self.folder} is no trained nnU-Net model; --model wants a folder such as "
                "nnUNet_results/Dataset221_AutoPET/nnUNetTrainer__nnUNetPlans__3d_fullres."
            )
        present = {
            file.parent.name.removeprefix("fold_"): file for file in self.folder.glob(f"fold_*/{self.checkpoint}")
        }
        if self.folds is None and len(present) > 1:
            present.pop("all", None)  # as nnU-Net does: folds are an ensemble, "all" is a model of its own
        missing = [fold for fold in self.folds or () if fold not in present]
        if missing or not present:
            raise UserError(
                f"{self.folder} has no {self.checkpoint} of fold {', '.join(missing) or '0 to 4'}; "
                f"folds with one: {', '.join(sorted(present)) or 'none'}. Finish the training, or name another "
                "checkpoint with -chk."
            )
        return {fold: present[fold] for fold in self.folds or sorted(present)}


def predict_prompts(
    model: PromptModel,
    jobs: Sequence[CaseJob],
    folder: Path,
    *,
    labels: Mapping[str, int],
    device: torch.device,
    num_processes: int,
) -> dict[str, str]:
    """Predict every scan that has no prediction of this model yet, in one process on the device.

    Args:
        model: to predict with.
        jobs: the scans.
        folder: gets {case}{file_ending}.
        labels: name -> integer, background among them; the model must have just these.
        device: where the network computes.
        num_processes: workers that read and preprocess; above 1, one more exports.

    Returns:
        case -> reason, for the scans that cannot be used; they are not predicted.

    Raises:
        UserError: if the model is not there, has other labels, channels or files than the scans, is
            a cascade's second stage, holds anything that would be executed, or its trainer
            cannot be found.
    """
    checkpoints = model.checkpoints()
    if not jobs:
        return {}
    check_model(model, jobs[0], labels)
    made_from = {fold: file_stamp(file) for fold, file in checkpoints.items()}
    missing = _without_prediction(jobs, folder, {"model": str(model.folder.resolve()), "checkpoints": made_from})
    problems = {}
    checks = run_jobs(check_scan, missing, num_processes=num_processes)
    for case, reason in tqdm(checks, total=len(missing), desc="checking scans", unit="scan", disable=not missing):
        if reason is not None:
            problems[case] = reason
    good = [job for job in missing if job.case not in problems]
    if good:
        for file in checkpoints.values():
            read_checkpoint(file, allowed=NUMPY_NUMBERS)  # nnU-Net would execute whatever else is in it
        _predict(model, tuple(checkpoints), good, folder, device=device, num_processes=num_processes)
    return problems


def check_model(model: PromptModel, job: CaseJob, labels: Mapping[str, int]) -> None:
    """Raise UserError for a model that is not there, a cascade's second stage, or one of other scans.

    These have other labels, channels or files; `job` is one of the scans.
    """
    model.checkpoints()
    described = read_dataset_json(model.folder / "dataset.json", needs=OF_SCANS_AND_LABELS)
    theirs = {name: single_label(value) for name, value in described["labels"].items() if name != "ignore"}
    if theirs != dict(labels):
        raise UserError(
            f"The model {model.folder} has the labels {described['labels']}, but the dataset has {dict(labels)}; "
            "use a model that was trained with the dataset's own labels."
        )
    seen, given = channel_names(described), job.channel_names
    if [name.casefold() for name in seen] != [name.casefold() for name in given]:
        raise UserError(
            f"The model {model.folder} sees the channels {', '.join(seen)}, but the scans have {', '.join(given)}; "
            "use a model that was trained on the same channels in the same order."
        )
    if described["file_ending"] != job.file_ending:
        raise UserError(
            f"The model {model.folder} reads {described['file_ending']} files, but the scans are {job.file_ending}; "
            "use a model of a dataset with this ending, or predict by yourself and give --predictions."
        )
    plans = read_plans_file(model.folder / "plans.json")
    configuration = plans["configurations"].get(model.folder.name.rpartition("__")[2], {})
    if configuration.get("previous_stage"):
        raise UserError(
            f"The model {model.folder} is the second stage of a cascade, which needs the first one's predictions; use "
            "another configuration, or predict with nnUNetv2_predict and give --predictions."
        )


def _without_prediction(jobs: Sequence[CaseJob], folder: Path, made_from: dict) -> list[CaseJob]:
    """The scans that have no whole prediction made from just this; stale ones are taken away, and all is recorded."""
    record = folder / _RECORD
    before = table_or_nothing(record)
    same_model = before.get("model") == json.loads(json.dumps(made_from))
    known = before["scans"] if same_model and isinstance(before.get("scans"), dict) else {}
    stamps = {job.case: json.loads(json.dumps([file_stamp(file) for file in job.files])) for job in jobs}
    missing = []
    for job in jobs:
        assert job.prompt is not None
        whole = is_whole_image(job.prompt)
        if not whole or known.get(job.case) != stamps[job.case]:
            job.prompt.unlink(missing_ok=True)
            missing.append(job)
    write_text(record, json.dumps({"model": made_from, "scans": known | stamps}, indent=1) + "\n")
    return missing


def _predict(
    model: PromptModel,
    folds: tuple[str, ...],
    jobs: Sequence[CaseJob],
    folder: Path,
    *,
    device: torch.device,
    num_processes: int,
) -> None:
    os.environ.setdefault("nnUNet_extTrainer", str(trainer_folder()))  # where nnU-Net looks for our trainers
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(device=device, perform_everything_on_device=device.type == "cuda")
    try:
        predictor.initialize_from_trained_model_folder(
            str(model.folder), tuple(fold if fold == "all" else int(fold) for fold in folds), model.checkpoint
        )
    except Exception as error:  # nnU-Net looks classes up by name and hands them all that the plans say
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f"The model {model.folder} cannot be loaded: {reason}") from error
    inputs = [[str(file) for file in job.files] for job in jobs]
    outputs = [str(folder / job.case) for job in jobs]
    if num_processes > 1:
        predictor.predict_from_files(
            inputs,
            outputs,
            num_processes_preprocessing=min(num_processes, len(jobs)),
            num_processes_segmentation_export=1,
        )
    else:
        predictor.predict_from_files_sequential(inputs, outputs)
