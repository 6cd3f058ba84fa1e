"""Folders of predictions against a folder of references, in several processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from nnunetv2_muduo.datasets.scan_io import check_same_grid
from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.evaluation.label_maps import find_cases, read_labels
from nnunetv2_muduo.evaluation.organ_metrics import measure_case
from nnunetv2_muduo.evaluation.results import CaseResult, Evaluation
from nnunetv2_muduo.evaluation.task import Task
from nnunetv2_muduo.worker_pool import run_jobs


@dataclass(frozen=True)
class _Job:
    """A case with all its predictions; travels between processes."""

    case: str
    reference: Path
    predictions: dict[str, Path]
    task: Task


def evaluate_folders(
    reference_folder: Path,
    prediction_folders: Mapping[str, Path],
    *,
    task: Task,
    missed: str = "diagonal",
    only_predicted: bool = False,
    num_processes: int = 1,
) -> dict[str, Evaluation]:
    """Method -> what was found, for label maps of the same file names.

    Args:
        reference_folder: label maps {case}{file ending}.
        prediction_folders: method -> folder. Predictions without a reference are left out.
        task: what the labels mean.
        missed: see `Evaluation`.
        only_predicted: leave out cases that a method has no prediction of, instead of refusing.
        num_processes: each handles one case at a time.

    Raises:
        UserError: naming the file when one is missing, unreadable, on another grid, or holds unknown labels.
    """
    cases = _cases(reference_folder, prediction_folders, task.file_ending, only_predicted=only_predicted)
    jobs = [
        _Job(
            case,
            reference_folder / f"{case}{task.file_ending}",
            {method: folder / f"{case}{task.file_ending}" for method, folder in prediction_folders.items()},
            task,
        )
        for case in cases
    ]
    results = run_jobs(_evaluate, jobs, num_processes=num_processes)
    found = {job["case"]: job["methods"] for job in tqdm(results, total=len(jobs), unit="case", desc="evaluating")}
    return {
        method: Evaluation(method, task, tuple(found[case][method] for case in cases), missed)
        for method in prediction_folders
    }


def _cases(
    reference_folder: Path, prediction_folders: Mapping[str, Path], file_ending: str, *, only_predicted: bool
) -> Sequence[str]:
    """Those to evaluate, sorted."""
    references = find_cases(reference_folder, file_ending)
    cases = list(references)
    for method, folder in prediction_folders.items():
        predicted = set(find_cases(folder, file_ending))
        missing = [case for case in references if case not in predicted]
        if len(missing) == len(references):
            raise UserError(f"No prediction in {folder} has the name of a reference in {reference_folder}.")
        if missing and not only_predicted:
            raise UserError(
                f"{folder} has no prediction of {len(missing)} case(s) ({listed(missing)}); predict them, or evaluate "
                "the others with --chill."
            )
        extra = sorted(predicted.difference(references))
        if extra:
            print(f"{method}: {len(extra)} prediction(s) without a reference are left out ({listed(extra)}).")
        cases = [case for case in cases if case in predicted]
    if not cases:
        raise UserError("There is no case that all methods have predicted; predict the same cases with each.")
    return cases


def _evaluate(job: _Job) -> dict:
    task = job.task
    also = {task.ignore_label} if task.ignore_label is not None else set()
    reference, image = read_labels(job.reference, known=task.known_labels | also)
    spacing_in_mm = image.GetSpacing()[::-1]
    diagonal = float(np.linalg.norm(np.multiply(reference.shape, spacing_in_mm)))
    methods = {}
    for method, file in job.predictions.items():
        prediction, predicted_image = read_labels(file, known=task.known_labels)
        check_same_grid(predicted_image, image, names=(file, job.reference))
        organs = measure_case(
            prediction,
            reference,
            organs=task.organs,
            spacing_in_mm=spacing_in_mm,
            lesions=task.lesions,
            ignore_label=task.ignore_label,
        )
        methods[method] = CaseResult(job.case, file, job.reference, diagonal, organs)
    return {"case": job.case, "methods": methods}
