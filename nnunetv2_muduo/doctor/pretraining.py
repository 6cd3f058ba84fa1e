"""Is a dataset one that nnUNetTrainerPETCTMAE can pretrain on? It may have no label at all."""

from pathlib import Path

from nnunetv2_muduo.datasets.scan_header import chosen_reader
from nnunetv2_muduo.doctor import dataset, gpu, orientations, unlabelled
from nnunetv2_muduo.doctor.check import Check, Mark, fail, ok
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.mae_settings import MAESettings
from nnunetv2_muduo.nnunet_files import read_plans_file
from nnunetv2_muduo.nnunet_folders import check_configuration
from nnunetv2_muduo.settings import Settings

WITHOUT_LABELS = {"labels": {"background": 0}, "numTraining": 0}  # what a description of scans alone may lack


def examine_pretraining(
    raw: Path, preprocessed: Path, dataset_json: dict, configuration: str, plans_identifier: str
) -> list[Check]:
    """Channels, plans, scans and the memory of a step.

    Args:
        raw: the dataset's folder in nnUNet_raw.
        preprocessed: its folder in nnUNet_preprocessed, which need not exist.
        dataset_json: the content of its dataset.json; may lack labels.
        configuration: of the plans.
        plans_identifier: such as nnUNetPlansPETCTMAE.
    """
    described = WITHOUT_LABELS | dataset_json
    plans_check, plans = check_plans(preprocessed, plans_identifier, configuration=configuration)
    settings = Settings() if plans is None else Settings.from_plans(plans)
    reader = chosen_reader(dataset_json, plans)
    scans = check_scans(raw, preprocessed, described, reader=reader)
    checks = [dataset.check_channels(described, settings), plans_check, scans]
    if plans is None or checks[0].mark is Mark.FAIL:
        return [*checks, gpu.check_gpu(None)]
    need = gpu.need_of_pretraining(plans, configuration=configuration, dataset_json=described)
    number = int(raw.name[7:10])
    remedy = f"take smaller batches: muduo plan -d {number} -p {plans_identifier} --set mae.batch_size=N"
    checks += orientations.check_orientations(raw, described, reader=reader, mirroring=False)  # its patches are not
    return [*checks, gpu.check_gpu(need, remedy=remedy)]


def check_plans(preprocessed: Path, plans_identifier: str, *, configuration: str) -> tuple[Check, dict | None]:
    """Whether there are plans with this configuration and valid settings of the pretraining; also returns the plans."""
    number, file = int(preprocessed.name[7:10]), preprocessed / f"{plans_identifier}.json"
    if not file.is_file():
        remedy = f"muduo plan -d {number} --preset petct_mae, and -p nnUNetPlansPETCTMAE here; or name other plans (-p)"
        return fail("plans", f"{file} is missing", remedy), None
    try:
        plans = read_plans_file(file)
        check_configuration(plans, configuration)
        settings = MAESettings.from_plans(plans)
        Settings.from_plans(plans)
    except UserError as error:
        remedy = f"name other plans (-p, -c), or change these: muduo plan -d {number} -p {plans_identifier}"
        return fail("plans", str(error), remedy), None
    batch = settings.batch_size or plans["configurations"][configuration].get("batch_size")
    return ok("plans", f"{plans_identifier}, {configuration}: {settings.num_epochs} epochs, batches of {batch}"), plans


def check_scans(raw: Path, preprocessed: Path, dataset_json: dict, *, reader: str) -> Check:
    """Scans of imagesUn, or labelled ones where there are none: either will do."""
    labelled = len(list((raw / "imagesTr").glob(f"*_0000{dataset_json['file_ending']}")))
    if labelled and not any((raw / "imagesUn").glob("*")):
        return ok("scans", f"{labelled} labelled ones; imagesUn holds none")
    return unlabelled.check_scans(raw, preprocessed, dataset_json, reader=reader)
