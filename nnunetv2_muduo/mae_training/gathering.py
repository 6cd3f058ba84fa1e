"""Finding, and where needed preprocessing, all cases that a trainer pretrains on."""

import os
from pathlib import Path

from nnunetv2.configuration import default_num_processes
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_muduo.cases.unlabelled import IMAGES_FOLDER, preprocess_unlabelled
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.mae_training.cases import CaseSplit, PretrainingCase, hold_out, labelled_cases
from nnunetv2_muduo.nnunet_folders import nnunet_folder
from nnunetv2_muduo.patients import patients_of_dataset
from nnunetv2_muduo.training.processes import processes_of


def gather_cases(trainer: nnUNetTrainer, settings: MAESettings) -> CaseSplit:
    """Labelled cases as nnU-Net preprocessed them, and the scans of imagesUn, which are brought up to date; each once.

    With several GPUs the first process preprocesses for all.

    Raises:
        UserError: where there is no case, too few of them, or labelled ones that are not preprocessed.
    """
    preprocessed = Path(trainer.preprocessed_dataset_folder_base)
    raw = nnunet_folder("nnUNet_raw") / trainer.plans_manager.dataset_name
    cases: list[PretrainingCase] = []
    if settings.use_labelled:
        cases += _labelled(trainer, preprocessed, raw)
    images = raw / IMAGES_FOLDER
    if images.is_dir() and any(images.iterdir()):
        known = {case.name for case in cases}  # `muduo split --rest-unlabelled` links labelled cases into imagesUn
        cases += [case for case in _unlabelled(trainer, preprocessed, raw) if case.name not in known]
    if not cases:
        raise UserError(
            f"{trainer.plans_manager.dataset_name} has nothing to pretrain on: put scans into {images}, as "
            f"{{case}}_0000{trainer.dataset_json['file_ending']} and so on, or preprocess labelled cases."
        )
    return hold_out(cases, settings.held_out, patients_of_dataset(raw, [case.name for case in cases]))


def _labelled(trainer: nnUNetTrainer, preprocessed: Path, raw: Path) -> list[PretrainingCase]:
    """The preprocessed labelled cases.

    Raises:
        UserError: if there are labels and not one case is preprocessed. Where some are not, the log tells of them.
    """
    found = labelled_cases(preprocessed / trainer.configuration_manager.data_identifier)
    ending = trainer.dataset_json["file_ending"]
    there = {path.name.removesuffix(ending) for path in (raw / "labelsTr").glob(f"*{ending}")}
    missing = sorted(there - {case.name for case in found})
    dataset, name = int(raw.name[7:10]), trainer.plans_manager.plans_name
    command = f"`nnUNetv2_preprocess -d {dataset} -plans_name {name} -c {trainer.configuration_name} -np 8`"
    if missing and not found:
        raise UserError(
            f"The labelled cases of {raw.name} are not preprocessed with {name}; run {command}, or leave them out with "
            f"`muduo plan -d {dataset} -p {name} --set mae.use_labelled=false`."
        )
    if missing:
        trainer.print_to_log_file(
            f"WARNING: {len(missing)} labelled case(s), such as {missing[0]}, are not preprocessed with {name} and not "
            f"pretrained on; run {command} to have them, too."
        )
    return found


def _unlabelled(trainer: nnUNetTrainer, preprocessed: Path, raw: Path) -> list[PretrainingCase]:
    with processes_of(trainer) as processes:
        summary = processes.first_does(
            lambda: preprocess_unlabelled(
                raw.name,
                plans=trainer.plans_manager.plans,
                configuration=trainer.configuration_name,
                dataset_json=trainer.dataset_json,
                raw_folder=raw,
                preprocessed_folder=preprocessed,
                num_processes=min(default_num_processes, os.cpu_count() or 1),
                log=trainer.print_to_log_file,
            )
        )
    return [PretrainingCase(name, summary.folder, labelled=False) for name in summary.identifiers]
