"""Are the unlabelled scans fit for use, and are they preprocessed?"""

from collections.abc import Sequence
from pathlib import Path

from nnunetv2_muduo.datasets.scan_header import chosen_reader
from nnunetv2_muduo.datasets.scan_io import FORMATS
from nnunetv2_muduo.doctor.check import Check, fail, ok, plans_option, warn
from nnunetv2_muduo.doctor.grids import grid_problem
from nnunetv2_muduo.errors import UserError, listed_reasons


def check_scans(raw_folder: Path, preprocessed_folder: Path, dataset_json: dict, *, reader: str) -> Check:
    """The scans of imagesUn by their names and headers: channels complete, on one grid. Voxels are not read.

    Args:
        raw_folder, preprocessed_folder: of the dataset.
        dataset_json: the content of its dataset.json.
        reader: name of nnU-Net's reader, see `grid_problem`.
    """
    name, folder, ending = "unlabelled scans", raw_folder / "imagesUn", dataset_json["file_ending"]
    try:
        good, bad = sorted_scans(raw_folder, preprocessed_folder, dataset_json, reader=reader)
    except UserError as error:
        return fail(name, str(error), "correct that file")
    if not good and not bad:
        found = f"{folder} {'holds no scans' if folder.is_dir() else 'does not exist'}"
        return fail(name, found, f"put scans there as {{case}}_0000{ending}, {{case}}_0001{ending}, ...")
    if not good:
        return fail(name, f"none of {len(bad)} can be used: {listed_reasons(bad)}", "correct or replace them")
    if bad:
        found = f"{len(good)} in order, {len(bad)} not: {listed_reasons(bad)}"
        return warn(name, found, "correct or remove these; training goes on without them")
    return ok(name, f"{len(good)} in {folder}")


def sorted_scans(
    raw_folder: Path, preprocessed_folder: Path, dataset_json: dict, *, reader: str
) -> tuple[dict[str, tuple[Path, ...]], dict[str, str]]:
    """Case -> files of the scans of imagesUn that names and headers find nothing wrong with, name -> reason of others.

    Raises:
        UserError: if the dataset's splits_final.json is none.
    """
    from nnunetv2_muduo.cases.channels import channel_names
    from nnunetv2_muduo.cases.unlabelled import usable_scans

    wanted = len(channel_names(dataset_json))
    scans, bad = usable_scans(raw_folder, preprocessed_folder, dataset_json)
    for case, files in scans.items():
        if problem := header_problem(files, wanted=wanted, file_ending=dataset_json["file_ending"], reader=reader):
            bad[case] = problem
    return {case: files for case, files in scans.items() if case not in bad}, bad


def header_problem(files: Sequence[Path], *, wanted: int, file_ending: str, reader: str) -> str:
    """What is wrong with a scan as far as headers tell; "" when nothing is.

    Args:
        files: one for each channel.
        wanted: number of channels of the dataset.
        file_ending: of the dataset; of formats that SimpleITK does not know only the number of files is checked.
        reader: name of nnU-Net's reader, see `grid_problem`.
    """
    if len(files) != wanted:
        return f"{len(files)} channel(s) instead of {wanted}"
    return grid_problem(files, reader=reader) if file_ending in FORMATS else ""


def judge_fresh(ready: int, total: int, *, dataset: str, configuration: str, plans_identifier: str) -> Check:
    """Whether every unlabelled scan is preprocessed with the present plans; the trainer does what is missing."""
    name, found = "unlabelled preprocessed", f"{ready} of {total} up to date"
    if ready < total:
        named = plans_option("-p", plans_identifier)
        command = f"muduo preprocess-unlabelled -d {int(dataset[7:10])} -c {configuration}{named}"
        return warn(name, found, f"{command} (else the trainer does it when it starts)")
    return ok(name, found)


def count_fresh(
    raw_folder: Path, preprocessed_folder: Path, *, plans: dict, configuration: str, dataset_json: dict
) -> tuple[int, int]:
    """How many unlabelled scans are preprocessed with the present plans, and how many there are to preprocess."""
    from nnunetv2_muduo.cases.channels import find_channels
    from nnunetv2_muduo.cases.freshness import is_fresh, preprocessing_fingerprint, source_stamp
    from nnunetv2_muduo.cases.unlabelled import unlabelled_folder
    from nnunetv2_muduo.settings import Settings

    reader = chosen_reader(dataset_json, plans)
    scans, _ = sorted_scans(raw_folder, preprocessed_folder, dataset_json, reader=reader)
    channels = find_channels(dataset_json, Settings.from_plans(plans))
    fingerprint = preprocessing_fingerprint(plans, configuration, channels=channels)
    folder = unlabelled_folder(plans, configuration, preprocessed_folder)
    ready = sum(is_fresh(folder, case, source_stamp(files, fingerprint)) for case, files in scans.items())
    return ready, len(scans)
