"""The folder imagesUn, preprocessed with the dataset's own plans beside the labelled cases."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder
from tqdm import tqdm

from nnunetv2_muduo.cases.channels import channel_names, find_channels
from nnunetv2_muduo.cases.freshness import is_fresh, preprocessing_fingerprint, source_stamp
from nnunetv2_muduo.cases.preprocessed import case_files, remove_case
from nnunetv2_muduo.cases.raw_intensities import check_schemes
from nnunetv2_muduo.cases.scan_checks import dangling_scans, find_scans
from nnunetv2_muduo.cases.unlabelled_case import CaseJob, preprocess_case
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind, private_folder
from nnunetv2_muduo.nnunet_files import SPLITS, read_splits
from nnunetv2_muduo.plain_configuration import check_preparation
from nnunetv2_muduo.run_lock import take_turns
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.worker_pool import run_jobs

IMAGES_FOLDER = "imagesUn"


@dataclass(frozen=True)
class UnlabelledSummary:
    """What came of the scans of imagesUn.

    Attributes:
        folder: holds the preprocessed cases.
        identifiers: names of the cases to train with, sorted.
        done: those preprocessed just now, sorted.
        skipped: those that were up to date, sorted.
        bad: name -> reason, for the scans that are left out.
    """

    folder: Path
    identifiers: tuple[str, ...]
    done: tuple[str, ...]
    skipped: tuple[str, ...]
    bad: Mapping[str, str]


def preprocess_unlabelled(
    dataset_name: str,
    *,
    plans: dict,
    configuration: str,
    dataset_json: dict,
    raw_folder: Path,
    preprocessed_folder: Path,
    num_processes: int,
    log: Callable[[str], object] = print,
) -> UnlabelledSummary:
    """Bring the preprocessed unlabelled cases up to date with imagesUn and the plans.

    What is up to date is skipped; what changed (a file's size or time of change, or the plans where preprocessing
    depends on them) is done again; what has no scan any more is removed, unless the scan is a link that leads nowhere
    just now. Each case is written aside and put in place whole, so the work can be interrupted at any time and goes on
    from there. Of runs that are started together one does the work, the others wait for it.

    Args:
        dataset_name: as in Dataset221_AutoPET, for messages.
        plans: nnU-Net's plans; their "muduo" settings say which channel is CT and which PET, if names do not.
        configuration: name of one of their configurations.
        dataset_json: nnU-Net's dataset.json.
        raw_folder: of the dataset, holds imagesUn (and imagesTr).
        preprocessed_folder: of the dataset; cases go to its {data_identifier}_unlabelled.
        num_processes: scans in work at the same time; 1 works right here.
        log: takes what is worth telling.

    Raises:
        UserError: where there is nothing to preprocess, no scan is good, the plans cannot be used, a worker died.
    """
    fingerprint, channels = _check_plans(plans, configuration, dataset_json)
    scans, bad = usable_scans(raw_folder, preprocessed_folder, dataset_json)
    _refuse_nothing(scans, bad, dataset_name, raw_folder, dataset_json)
    folder = unlabelled_folder(plans, configuration, preprocessed_folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_cases_other_than({*scans, *_away(raw_folder, dataset_json)}, folder, log)
    clear_away_left_behind(folder)
    fresh = _fresh(scans, folder, fingerprint)
    if len(fresh) < len(scans):  # or the folder may be read-only
        with take_turns(folder, log), private_folder(folder) as partial_folder:
            fresh = _fresh(scans, folder, fingerprint)
            jobs = [
                CaseJob(
                    case=case,
                    files=files,
                    folder=folder,
                    partial_folder=partial_folder,
                    plans=plans,
                    configuration=configuration,
                    dataset_json=dataset_json,
                    channels=channels,
                    fingerprint=fingerprint,
                )
                for case, files in scans.items()
                if case not in fresh
            ]
            bad |= _run(jobs, num_processes=num_processes)
    for case in bad.keys() & scans.keys():
        remove_case(folder, case)
    good = [case for case in scans if case not in bad]
    summary = UnlabelledSummary(
        folder,
        identifiers=tuple(sorted(good)),
        done=tuple(sorted(case for case in good if case not in fresh)),
        skipped=tuple(sorted(fresh)),
        bad=dict(sorted(bad.items())),
    )
    _report(summary, raw_folder / IMAGES_FOLDER, log)
    return summary


def _fresh(scans: Mapping[str, tuple[Path, ...]], folder: Path, fingerprint: str) -> set[str]:
    """Names of the scans whose preprocessed cases are up to date."""
    return {case for case, files in scans.items() if is_fresh(folder, case, source_stamp(files, fingerprint))}


def unlabelled_folder(plans: dict, configuration: str, preprocessed_folder: Path) -> Path:
    """Where the preprocessed unlabelled cases of a configuration lie."""
    identifier = PlansManager(plans).get_configuration(configuration).data_identifier
    return preprocessed_folder / f"{identifier}_unlabelled"


def _check_plans(plans: dict, configuration: str, dataset_json: dict) -> tuple[str, tuple[int, int]]:
    """The plans' fingerprint and the channels (CT, PET); refuses early what cannot work."""
    check_preparation(plans, configuration)
    channels = find_channels(dataset_json, Settings.from_plans(plans))
    check_schemes(PlansManager(plans).get_configuration(configuration), channel_names(dataset_json))
    return preprocessing_fingerprint(plans, configuration, channels=channels), channels


def usable_scans(
    raw_folder: Path, preprocessed_folder: Path, dataset_json: dict
) -> tuple[dict[str, tuple[Path, ...]], dict[str, str]]:
    """The scans of imagesUn as their names tell: case -> files of those to preprocess, name -> reason of the others.

    Labelled cases are among the others, unless splits_final.json has them in no fold: then they may serve without their
    labels. Both are empty where there is no folder.

    Raises:
        UserError: if splits_final.json is there and is none.
    """
    folder, splits = raw_folder / IMAGES_FOLDER, preprocessed_folder / SPLITS
    scans, bad = find_scans(folder, dataset_json["file_ending"]) if folder.is_dir() else ({}, {})
    labelled = _labelled_cases(raw_folder, dataset_json)
    if splits.is_file():
        labelled &= {case for fold in read_splits(splits) for part in ("train", "val") for case in fold[part]}
    for case in sorted(labelled & set(scans)):
        del scans[case]
        bad[case] = "already labelled: a training case of this name is in imagesTr"
    return scans, bad


def told_labelled_too(labelled: Collection[str], unlabelled: Collection[str]) -> str:
    """What to tell where a fold labels scans (names) that also count as unlabelled; "" where it labels none."""
    if not (both := sorted({*labelled} & {*unlabelled})):
        return ""
    return (
        f"{len(both)} of {len(unlabelled)} unlabelled scan(s) are labelled cases of this fold (the first: {both[0]}): "
        "splits_final.json has them in no fold, but this one uses all cases there are, and may validate on scans that "
        "it learns from; train a fold of splits_final.json, or take these scans out of imagesUn."
    )


def _refuse_nothing(
    scans: Mapping[str, tuple[Path, ...]],
    bad: Mapping[str, str],
    dataset_name: str,
    raw_folder: Path,
    dataset_json: dict,
) -> None:
    """Raise UserError where there is no file at all that could be a scan, or none that is not a link to nothing."""
    folder, file_ending = raw_folder / IMAGES_FOLDER, dataset_json["file_ending"]
    if not scans and bad and bad == _away(raw_folder, dataset_json):
        raise UserError(
            f"All {len(bad)} unlabelled scan(s) of {folder} are links to nothing: {min(bad.values())}. "
            "What is preprocessed of them is kept."
        )
    if not scans and not bad:
        files = ", ".join(
            f"{{case}}_{index:04d}{file_ending} ({name})" for index, name in enumerate(channel_names(dataset_json))
        )
        state = f"has no {file_ending} file (file_ending of dataset.json)" if folder.is_dir() else "does not exist"
        raise UserError(
            f"{dataset_name} has no unlabelled scans: {folder} {state}. Put them there as {files}, "
            "or train on the labelled cases alone with -tr nnUNetTrainer."
        )


def _away(raw_folder: Path, dataset_json: dict) -> dict[str, str]:
    """Case -> reason, of scans that are links to nothing."""
    folder = raw_folder / IMAGES_FOLDER
    return dangling_scans(folder, dataset_json["file_ending"]) if folder.is_dir() else {}


def _labelled_cases(raw_folder: Path, dataset_json: dict) -> set[str]:
    if "dataset" in dataset_json:  # nnU-Net's other way of naming training cases, file by file
        return set(dataset_json["dataset"])
    images = raw_folder / "imagesTr"
    if not images.is_dir():
        return set()
    ending = dataset_json["file_ending"]
    present = get_identifiers_from_splitted_dataset_folder(str(images), ending)
    return {*map(str, present), *dangling_scans(images, ending)}


def _run(jobs: list[CaseJob], *, num_processes: int) -> dict[str, str]:
    """Name -> reason of the scans that turned out bad."""
    outcomes = run_jobs(preprocess_case, jobs, num_processes=num_processes)
    shown = tqdm(outcomes, total=len(jobs), desc="Preprocessing unlabelled scans", disable=not jobs)
    return {outcome.case: outcome.reason for outcome in shown if outcome.reason is not None}


def _remove_cases_other_than(scans: Collection[str], folder: Path, log: Callable[[str], object]) -> None:
    wanted = {file for case in scans for file in case_files(folder, case)}
    unwanted = [file for pattern in ("*.b2nd", "*.pkl") for file in folder.glob(pattern) if file not in wanted]
    for file in unwanted:  # images come first, so that no moment shows half a case
        file.unlink(missing_ok=True)
    gone = sorted(file.stem for file in unwanted if file.suffix == ".pkl")
    if gone:
        log(f"Removed preprocessed cases whose scan is gone: {', '.join(gone)}")


def _report(summary: UnlabelledSummary, images: Path, log: Callable[[str], object]) -> None:
    reasons = "\n".join(f"  - {name}: {reason}" for name, reason in summary.bad.items())
    if not summary.identifiers:
        raise UserError(f"None of the {len(summary.bad)} unlabelled scan(s) of {images} can be used:\n{reasons}")
    log(
        f"Unlabelled scans: {len(summary.identifiers)} ready ({len(summary.done)} preprocessed now, "
        f"{len(summary.skipped)} up to date) in {summary.folder}"
    )
    if summary.bad:
        log(f"{len(summary.bad)} unlabelled scan(s) of {images} are left out:\n{reasons}")
