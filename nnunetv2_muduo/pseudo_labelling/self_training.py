"""Self-training: a model's predictions become labels as they are, no teacher is asked and nothing is masked."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from nnunetv2_muduo.cases.channels import find_channels
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json
from nnunetv2_muduo.nnunet_folders import nnunet_folder
from nnunetv2_muduo.pseudo_labelling.case_files import CaseJob, read_case, write_image
from nnunetv2_muduo.pseudo_labelling.new_dataset import (
    PseudoDataset,
    cases_to_keep,
    check_target,
    claim_folder,
    dataset_name,
    place_images,
    write_dataset_json,
    write_splits,
)
from nnunetv2_muduo.pseudo_labelling.prompt_maps import PromptModel
from nnunetv2_muduo.pseudo_labelling.recipe import case_jobs, find_unlabelled, make_prompts, plain_organs
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.worker_pool import read_ahead

SUPERVISED_TRAINER = "nnUNetTrainerMuDuoSupervised"


def lay_out_predictions(
    source: str,
    *,
    predictions: Path | PromptModel,
    target: str,
    model_output: Path,
    scans_folder: Path | None = None,
    settings: Settings | None = None,
    with_labelled: bool = True,
    copy: bool = False,
    overwrite: bool = False,
    device: torch.device | None = None,
    num_processes: int = 2,
    log: Callable[[str], object] = print,
) -> PseudoDataset:
    """Write nnUNet_raw/DatasetYYY_Name of predicted and labelled cases, for stock planning and training.

    Labels are those of the source, without an ignore label. Splits are as in `lay_out`: validation is on labelled cases
    alone.

    Args:
        source: name of the dataset.
        predictions: label maps {case}{file_ending} on the scans' grids, or the model that makes them.
        target: number or name of the new dataset.
        model_output: folder below which a model's predictions go, prompts/; left alone where label maps are given.
        scans_folder: {case}_0000{file_ending} and so on; None: imagesUn of the dataset.
        settings: those that name channels; None: the defaults.
        with_labelled: add the source's own cases.
        copy: copy images instead of linking them.
        overwrite: see `check_target`.
        device: of the model; None: the CPU.
        num_processes: workers that read scans.
        log: is told which scans are left out.

    Raises:
        UserError: if a folder or the model is missing, labels are regions, a case's name occurs twice, the target is
            another dataset's or was changed by hand, or no scan has a prediction on its own grid.
    """
    raw = nnunet_folder("nnUNet_raw")
    dataset_json = read_dataset_json(raw / source / "dataset.json", needs=OF_SCANS_AND_LABELS)
    organs, ending = plain_organs(dataset_json), dataset_json["file_ending"]
    scans, problems = find_unlabelled(scans_folder or raw / source / "imagesUn", ending)
    labelled = cases_to_keep(raw / source, dataset_json, scans) if with_labelled else {}
    check_target(raw, dataset_name(target, source), overwrite=overwrite)
    folder = model_output / "prompts" if isinstance(predictions, PromptModel) else predictions
    jobs = case_jobs(scans, folder, dataset_json, find_channels(dataset_json, settings or Settings()), organs)
    problems |= make_prompts(
        predictions, jobs, folder, organs=organs, device=device or torch.device("cpu"), num_processes=num_processes
    )
    if not any(job.prompt is not None and job.prompt.is_file() for job in jobs if job.case not in problems):
        _tell(problems, log)  # before what an earlier run has laid out is emptied
        raise UserError(f"None of the {len(scans)} scans has a prediction in {folder}; is it the right folder?")
    made = claim_folder(raw, dataset_name(target, source), overwrite=overwrite)
    written, bad = _write_label_maps([job for job in jobs if job.case not in problems], made, num_processes)
    problems |= bad
    _tell(problems, log)
    if not written:
        raise UserError(f"None of the {len(scans)} scans has a prediction that can be used; the reasons are above.")
    place_images({case: scans[case] for case in written}, labelled, made, file_ending=ending, copy=copy)
    write_dataset_json(made, dataset_json, labels=dataset_json["labels"], cases=len(labelled) + len(written))
    if labelled:
        write_splits(source, made.name, sorted(labelled), sorted(written))
    left_out = tuple(sorted(set(scans) - set(written)))
    return PseudoDataset(made, len(written), len(labelled), (), left_out, 0.0)


def self_training_commands(source: int, target: int, *, plans_name: str, configuration: str) -> tuple[str, ...]:
    """Shell lines that train on a laid out dataset as its source was trained on; numbers are those of the datasets."""
    plans = f"{plans_name}{source}"
    return (
        f"nnUNetv2_extract_fingerprint -d {target} && nnUNetv2_plan_experiment -d {target}",
        f"nnUNetv2_move_plans_between_datasets -s {source} -t {target} -sp {plans_name} -tp {plans}",
        f"nnUNetv2_preprocess -d {target} -plans_name {plans} -c {configuration}",
        f"nnUNetv2_train {target} {configuration} 0 -tr {SUPERVISED_TRAINER} -p {plans}",
    )


def _write_label_maps(
    jobs: Sequence[CaseJob], folder: Path, num_processes: int
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Cases whose prediction fits their scan, now in labelsTr, and case -> reason of the others."""
    written, problems = [], {}
    cases = read_ahead(read_case, jobs, num_processes=num_processes)
    for read in tqdm(cases, total=len(jobs), desc="label maps", unit="case"):
        if read.prompts is None or read.geometry is None:
            problems[read.case] = str(read.reason)
            continue
        write_image(read.prompts, read.geometry, folder / "labelsTr" / f"{read.case}{jobs[0].file_ending}")
        written.append(read.case)
    return tuple(written), problems


def _tell(problems: dict[str, str], log: Callable[[str], object]) -> None:
    if problems:
        log(f"{len(problems)} left out:")
        for name, reason in sorted(problems.items()):
            log(f"  {name}: {reason}")
