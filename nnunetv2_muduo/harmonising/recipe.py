"""Many cases from one folder into one dataset: find them, work on them side by side, say what became of each."""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from nnunetv2_muduo.case_installing import make_cases
from nnunetv2_muduo.datasets.suv import Injection
from nnunetv2_muduo.errors import UserError, listed_reasons
from nnunetv2_muduo.files import clear_away_left_behind
from nnunetv2_muduo.harmonising.case import CaseJob, harmonise_case, job_options
from nnunetv2_muduo.harmonising.case_finding import FoundCase, find_cases
from nnunetv2_muduo.harmonising.dataset import Dataset
from nnunetv2_muduo.harmonising.identifiers import case_identifier, identified
from nnunetv2_muduo.harmonising.images import Options
from nnunetv2_muduo.harmonising.layouts import Layout
from nnunetv2_muduo.harmonising.record import (
    RECORDS,
    CaseRecord,
    gather_records,
    have_same_scans,
    is_finished,
    made_from,
    records_of_cases,
)
from nnunetv2_muduo.run_lock import only_run

_STILL_THERE = " (what an earlier run made of it is still in the dataset)"


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        dataset: folder.
        done: cases made now.
        kept: cases that were up to date.
        skipped: case or folder -> reason.
        labelled: how many of the cases done or kept have labels.
        labelled_in_all: how many labelled cases the dataset holds now, those of other runs with them.
    """

    dataset: Path
    done: tuple[str, ...]
    kept: tuple[str, ...]
    skipped: dict[str, str]
    labelled: int
    labelled_in_all: int


def harmonise(
    source: Path,
    dataset: Dataset,
    *,
    layout: Layout,
    options: Options,
    centre: str | None = None,
    with_labels: bool = True,
    suv_table: Mapping[str, Injection] | None = None,
    num_processes: int = 1,
    log: Callable[[str], object] = tqdm.write,
) -> Summary:
    """Put all cases of a folder into a dataset: labelled ones into imagesTr and labelsTr, others into imagesUn.

    Cases that an earlier run finished are kept unless their sources (by size and time of change), options or SUV values
    changed. Nothing is written outside of the dataset's folder, and nothing in it is replaced that was not made here.

    Args:
        source: searched for cases at any depth.
        dataset: of `open_dataset`; read again once no other run is at work on it.
        layout: what the files are called.
        options: what to do with every case.
        centre: put in front of the cases' names.
        with_labels: False treats all cases as unlabelled.
        suv_table: of `read_suv_table`; names cases by identifier or by folder below `source`.
        num_processes: cases in work at the same time; 1 works right here.
        log: takes a line a case that is worth telling of, and the summary.

    Raises:
        UserError: if there is no case, none can be used, names collide, the labels' values are not named, another run
            is at work on the dataset or a worker died.
    """
    found, skipped = _found_cases(source, dataset, layout, with_labels=with_labels)
    cases = identified(found, centre=centre)
    with only_run(dataset.folder):
        dataset = dataset.opened_again()
        _check_labels_are_named(found, dataset)
        jobs = _jobs(cases, dataset, options, centre, suv_table)
        for unused in _unused(suv_table or {}, jobs):
            log(f"The SUV values name '{unused}', which is no case here.")
        summary, recorded = _make(jobs, dataset, skipped, num_processes=num_processes, log=log)
    _report(summary, log)
    if others := _made_otherwise(recorded, options):
        log(
            f"{len(others)} case(s) of the dataset, such as {others[0]}, have another --grid, --body-crop or --spacing "
            "than this run; harmonise all alike."
        )
    return summary


def _make(
    jobs: Sequence[CaseJob],
    dataset: Dataset,
    skipped: Mapping[str, str],
    *,
    num_processes: int,
    log: Callable[[str], object],
) -> tuple[Summary, dict[str, CaseRecord]]:
    """Make the cases that are not finished, and dataset.json; the records are those of the whole dataset."""
    records = records_of_cases(dataset.folder)
    skipped = dict(skipped) | _belonging_elsewhere(jobs, records) | _there_under_other_names(jobs, records)
    usable = [job for job in jobs if job.case not in skipped]
    kept = {job.case for job in usable if is_finished(dataset.folder, records.get(job.case), job.made_from)}
    left = [job for job in usable if job.case not in kept]
    try:
        outcomes = make_cases(harmonise_case, left, doing="harmonising", num_processes=num_processes, log=log)
    finally:
        clear_away_left_behind(dataset.folder)
        recorded = gather_records(dataset.folder)
        labelled_in_all = dataset.finish()
    for outcome in outcomes:
        if outcome.reason is not None:
            skipped[outcome.case] = outcome.reason + (_STILL_THERE if outcome.case in recorded else "")
    done = {outcome.case for outcome in outcomes if outcome.reason is None}
    summary = Summary(
        dataset.folder,
        done=tuple(sorted(done)),
        kept=tuple(sorted(kept)),
        skipped=dict(sorted(skipped.items())),
        labelled=sum(job.found.label is not None for job in jobs if job.case in done or job.case in kept),
        labelled_in_all=labelled_in_all,
    )
    return summary, recorded


def _found_cases(
    source: Path, dataset: Dataset, layout: Layout, *, with_labels: bool
) -> tuple[list[FoundCase], dict[str, str]]:
    """As `find_cases`; refuses what the dataset cannot take as a whole."""
    if source.resolve() == dataset.folder.resolve() or dataset.folder.resolve() in source.resolve().parents:
        raise UserError(f"{source} lies within the dataset itself; name the folder with the original scans.")
    found, skipped = find_cases(source, layout)
    if not found:
        bad = f": {listed_reasons(skipped)}" if skipped else ""
        raise UserError(f"There is no case with CT and PET in {source}{bad}.")
    if not with_labels:
        found = [replace(case, label=None) for case in found]
    _check_labels_are_named(found, dataset)
    return found, skipped


def _check_labels_are_named(found: Sequence[FoundCase], dataset: Dataset) -> None:
    if (labelled := sum(case.label is not None for case in found)) and not dataset.has_labels:
        raise UserError(
            f"{labelled} case(s) have labels; say what their values mean with --labels lesion=1, or use them as "
            "unlabelled scans with --unlabelled."
        )


def _jobs(
    cases: Mapping[str, FoundCase],
    dataset: Dataset,
    options: Options,
    centre: str | None,
    suv_table: Mapping[str, Injection] | None,
) -> list[CaseJob]:
    jobs = []
    for name, case in cases.items():
        injection = next((suv_table[key] for key in _keys(name, case) if key in suv_table), None) if suv_table else None
        jobs.append(
            CaseJob(
                case=name,
                patient=case_identifier(case.parts[:1], centre=centre),
                found=case,
                dataset=dataset.folder,
                ending=dataset.ending,
                label_values=dataset.label_values,
                options=options,
                made_from=made_from(case, **job_options(options, injection, with_table=suv_table is not None)),
                injection=injection,
                with_table=suv_table is not None,
            )
        )
    return jobs


def _keys(name: str, case: FoundCase) -> tuple[str, str]:
    """What a table of SUV values may call a case."""
    return name, unicodedata.normalize("NFC", "/".join(case.parts))


def _unused(suv_table: Mapping[str, Injection], jobs: Sequence[CaseJob]) -> list[str]:
    return sorted(set(suv_table) - {key for job in jobs for key in _keys(job.case, job.found)})


def _made_otherwise(records: Mapping[str, CaseRecord], options: Options) -> list[str]:
    """Cases whose extent and intensities are not those of this run; links and copies are alike."""
    wanted = json.loads(json.dumps(asdict(replace(options, copy=False))))
    return [case for case, record in records.items() if record.made_from["options"] | {"copy": False} != wanted]


def _belonging_elsewhere(jobs: Sequence[CaseJob], records: Mapping[str, CaseRecord]) -> dict[str, str]:
    """Cases whose name another folder's case has taken, unless that folder was moved here."""
    taken = {}
    for job in jobs:
        record = records.get(job.case)
        if record is None or record.made_from["folder"] == job.made_from["folder"]:
            continue
        other = Path(record.made_from["folder"])
        if other.exists() or not have_same_scans(record.made_from, job.made_from):
            taken[job.case] = f"the name is that of the case made from {other}; name the centre with --centre"
    return taken


def _there_under_other_names(jobs: Sequence[CaseJob], records: Mapping[str, CaseRecord]) -> dict[str, str]:
    """Cases of whose scans an earlier run made another case: a split could train on one and validate on the other."""
    of_folder: dict[str, list[str]] = {}
    for case, record in records.items():
        of_folder.setdefault(record.made_from["folder"], []).append(case)
    twice = {}
    for job in jobs:
        for other in of_folder.get(job.made_from["folder"], ()):
            if other != job.case and have_same_scans(records[other].made_from, job.made_from):
                twice[job.case] = (
                    f"its scans are in the dataset already, as {other}; give --centre and the folder as for that run, "
                    f"or take {other} out, with {RECORDS}/{other}.json"
                )
    return twice


def _report(summary: Summary, log: Callable[[str], object]) -> None:
    reasons = "\n".join(f"  - {name}: {reason}" for name, reason in summary.skipped.items())
    number = len(summary.done) + len(summary.kept)
    if not number:
        raise UserError(f"None of the {len(summary.skipped)} case(s) can be used:\n{reasons}")
    log(
        f"{number} case(s) of this run are in {summary.dataset} ({summary.labelled} labelled, "
        f"{number - summary.labelled} unlabelled): {len(summary.done)} made now, {len(summary.kept)} up to date."
    )
    if summary.skipped:
        log(f"{len(summary.skipped)} case(s) are left out:\n{reasons}")
