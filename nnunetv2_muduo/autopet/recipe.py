"""AutoPET into an nnU-Net dataset: carry out a plan, interrupted anywhere and taken up again."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from nnunetv2_muduo.autopet.case import ConversionJob, convert_case
from nnunetv2_muduo.autopet.description import put_description_aside, read_description, write_description
from nnunetv2_muduo.autopet.headers import ENDING
from nnunetv2_muduo.autopet.plan import Plan
from nnunetv2_muduo.autopet.records import (
    RECORDS,
    check_is_ours,
    is_finished,
    read_records,
    rearranged,
    record_file,
    write_manifest,
)
from nnunetv2_muduo.autopet.target import LESION
from nnunetv2_muduo.autopet_manifest import sets_told
from nnunetv2_muduo.case_installing import make_cases, remove_case
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import can_link, clear_away_left_behind
from nnunetv2_muduo.nnunet_files import SPLITS, read_splits
from nnunetv2_muduo.run_lock import only_run
from nnunetv2_muduo.transfer.few_shot import Split
from nnunetv2_muduo.transfer.split_files import write_splits_file

_NEEDED = ("labelled", "validation")  # sets without which there is no training


@dataclass(frozen=True)
class Summary:
    """What a run did.

    Attributes:
        dataset: folder.
        done: cases made now.
        kept: cases that were finished before.
        skipped: case or place -> reason.
        in_place: set -> cases that are there.
        backup: where the splits before these are kept.
    """

    dataset: Path
    done: tuple[str, ...]
    kept: tuple[str, ...]
    skipped: Mapping[str, str]
    in_place: Mapping[str, tuple[str, ...]]
    backup: Path | None


def convert(
    plan: Plan,
    *,
    preprocessed: Path | None,
    num_processes: int = 1,
    overwrite: bool = False,
    log: Callable[[str], object] = tqdm.write,
) -> Summary:
    """Make the dataset.

    Cases that an earlier run finished are kept unless their files (by size and time of change) or what is wanted of
    them changed. dataset.json is written last: nnU-Net takes no notice of a dataset that is not finished. What others
    wrote into an earlier one stays.

    Args:
        plan: of `plan_conversion`.
        preprocessed: the dataset's folder in nnUNet_preprocessed, for the splits; None leaves that to nnU-Net's
            planner, which copies them from the dataset.
        num_processes: cases in work at the same time; 1 works right here.
        overwrite: let finished cases change their set, and replace other splits, which are kept beside the new ones.
        log: takes a line a case that is worth telling of.

    Raises:
        UserError: if there are other cases or splits in the way, there is no room, another run is at work or no case to
            train on, or to validate on, is left.
    """
    dataset = plan.dataset
    check_is_ours(dataset)
    jobs = {job.name: job for job in plan.jobs}
    _check_splits(preprocessed, plan, overwrite=overwrite)
    with only_run(dataset) as certain:
        check_is_ours(dataset)  # another command may have made it meanwhile
        records, described = read_records(dataset), read_description(dataset)
        _check_arrangement(records, jobs, plan, overwrite=overwrite)
        clear_away_left_behind(dataset, dataset / RECORDS, all_of_them=certain)
        kept = sorted(name for name, job in jobs.items() if is_finished(job, records.get(name)))
        left = [job for name, job in jobs.items() if name not in set(kept)]
        _check_room(left, dataset, log=log)
        gone = [name for name in records if name not in jobs]
        if left or gone:
            put_description_aside(dataset)
        for name in gone:
            remove_case(dataset, record_file(dataset, name))
            record_file(dataset, name).unlink()
        reasons = _make(plan, left, num_processes=num_processes, log=log)
        summary = _finish(plan, kept, reasons, preprocessed, overwrite=overwrite)
        training = len(list((dataset / "imagesTr").glob(f"*_0000{ENDING}")))
        write_description(plan, described, training=training, overwrite=overwrite)
        return summary


def _make(
    plan: Plan, jobs: Sequence[ConversionJob], *, num_processes: int, log: Callable[[str], object]
) -> dict[str, str]:
    """Make cases, those that no training can do without first; case -> reason for those that could not be made.

    Raises:
        UserError: if no case to train on, or to validate on, is left, before any other is converted.
    """
    which = plan.sets.by_case()
    needed = [job for job in jobs if which[job.name] in _NEEDED]
    others = [job for name in ("test", "unlabelled") for job in jobs if which[job.name] == name]
    reasons: dict[str, str] = {}
    for doing, part in (("converting labelled cases", needed), ("converting the others", others)):
        outcomes = make_cases(convert_case, part, doing=doing, num_processes=num_processes, log=log)
        bad = {outcome.case: outcome.reason for outcome in outcomes if outcome.reason is not None}
        for case in bad:  # what an earlier run made of it from other files
            remove_case(plan.dataset, record_file(plan.dataset, case))
            record_file(plan.dataset, case).unlink(missing_ok=True)
        reasons |= bad
        for name in _NEEDED:
            if not set(plan.cases(name)) - set(reasons):
                raise UserError(f"Not one {name} case could be made:\n{_listed(reasons)}")
    return reasons


def _finish(
    plan: Plan, kept: Sequence[str], reasons: Mapping[str, str], preprocessed: Path | None, *, overwrite: bool
) -> Summary:
    """Splits, and the manifest that tells whose they are."""
    made = {job.name for job in plan.jobs} - set(reasons)
    which = {case: name for case, name in plan.sets.by_case().items() if case in made}
    in_place = {
        name: tuple(sorted(case for case, of in which.items() if of == name))
        for name in ("labelled", "validation", "test", "unlabelled")
    }
    skipped = dict(sorted((dict(plan.skipped) | dict(reasons)).items()))
    records = read_records(plan.dataset)
    splits = [Split(train=in_place["labelled"], val=in_place["validation"])]
    write_splits_file(plan.dataset / SPLITS, splits, overwrite=True, keep=False)
    backup = None
    if preprocessed is not None:
        ours = _is_ours(preprocessed / SPLITS, plan)
        backup = write_splits_file(preprocessed / SPLITS, splits, overwrite=overwrite or ours, keep=not ours)
    write_manifest(
        plan.dataset,
        records,
        which=which,
        patients=plan.patients,
        wishes=plan.wishes.to_dict(),
        skipped=skipped,
        left_out=plan.sets.left_out,
    )
    done = tuple(sorted(case for case in which if case not in set(kept)))
    return Summary(plan.dataset, done, tuple(kept), skipped, in_place, backup)


def _check_splits(preprocessed: Path | None, plan: Plan, *, overwrite: bool) -> None:
    """Refuse at once what would be refused at the end."""
    if preprocessed is None or overwrite or not (preprocessed / SPLITS).is_file():
        return
    if not _is_ours(preprocessed / SPLITS, plan):
        raise UserError(
            f"{preprocessed / SPLITS} holds other splits; replace them with --overwrite, which keeps them "
            "beside the new ones."
        )


def _is_ours(path: Path, plan: Plan) -> bool:
    """Whether splits are those of a last run with this plan, which may have found fewer good cases.

    A part of the plan alone would not do: `muduo split` draws such, which must not be lost.
    """
    if not path.is_file():
        return False
    try:
        (fold,) = read_splits(path)
        train, val = {*fold["train"]}, {*fold["val"]}
    except (UserError, ValueError, KeyError, TypeError):
        return False
    labelled, validation = {*plan.sets.labelled}, {*plan.sets.validation}
    made = {case for case, record in read_records(plan.dataset).items() if "made_from" in record}
    told = sets_told(plan.dataset)
    expected = (
        (told.get("labelled", set()), told.get("validation", set())),
        (labelled & made, validation & made),  # it was killed before it wrote the manifest
        (labelled, validation),
    )
    return train <= labelled and val <= validation and (train, val) in expected


def _check_arrangement(
    records: Mapping[str, Mapping], jobs: Mapping[str, ConversionJob], plan: Plan, *, overwrite: bool
) -> None:
    if overwrite or not (changed := rearranged(records, jobs)):
        return
    reason = plan.skipped.get(changed[0])
    why = "" if reason is None else f" ({reason})"
    raise UserError(
        f"{len(changed)} finished case(s) of {plan.dataset.name}, such as {changed[0]}{why}, would change their set "
        "or labels or leave the dataset: options or files are not those of the last run. Add --overwrite to rearrange "
        "them, or choose another dataset number."
    )


def _check_room(jobs: Sequence[ConversionJob], dataset: Path, *, log: Callable[[str], object]) -> None:
    """Refuse copies that do not fit, be they asked for or the only way."""
    if not jobs:
        return
    remedy = "leave --copy out to link the files, or make room"
    if not jobs[0].copy:
        if can_link(jobs[0].sources["PET"], dataset):
            return
        log(f"{dataset} takes no links to {jobs[0].sources['PET'].parent}, so files are copied.")
        remedy = "make room, or have nnUNet_raw on a file system with links"
    needed = sum(path.stat().st_size for job in jobs for path in job.sources.values())
    free = shutil.disk_usage(dataset).free
    if needed > free:
        raise UserError(f"Copies take {needed / 1e9:.1f} GB, and {dataset} has room for {free / 1e9:.1f} GB; {remedy}.")


def told_of_absent(values: Mapping[str, Sequence[Sequence[int]]], labels: Mapping[str, int]) -> list[str]:
    """What to tell of labels that a set lacks, and how many cases show lesions; values: set -> those of each case."""
    lacking = {
        name: {label for label, value in labels.items() if not any(value in shown for shown in values[name])}
        for name in _NEEDED
    }
    lines = []
    if LESION in labels:
        counts = [f"{sum(labels[LESION] in shown for shown in values[n])} of {len(values[n])} {n}" for n in _NEEDED]
        lines.append(f"Lesions are in {' and '.join(counts)} case(s).")
    both = lacking["labelled"] & lacking["validation"]
    for absent, sentence in (
        (both, "No labelled or validation case shows {}: nothing can be learnt of it."),
        (lacking["labelled"] - both, "No labelled case shows {}: nothing can be learnt of it; try another --seed."),
        (
            lacking["validation"] - both,
            "No validation case shows {}: neither its Dice nor how good teachers are can be told; try another --seed.",
        ),
    ):
        if absent:
            lines.append(sentence.format(", ".join(label for label in labels if label in absent)))
    return lines


def _listed(reasons: Mapping[str, str]) -> str:
    return "\n".join(f"  - {name}: {reason}" for name, reason in reasons.items())


def told(summary: Summary, plan: Plan) -> str:
    """The summary of a run, for printing."""
    wanted = plan.sets
    lines = [f"{summary.dataset}: {len(summary.done)} case(s) made now, {len(summary.kept)} finished before."]
    for name, cases in summary.in_place.items():
        asked = len(getattr(wanted, name))
        lines.append(f"  {name:<11}{len(cases):>6}" + (f" of {asked}" if asked != len(cases) else ""))
    records = read_records(summary.dataset)
    lines += told_of_absent(
        {name: [records[case]["label_values"] for case in summary.in_place[name]] for name in _NEEDED}, plan.labels
    )
    suspicious = [case for case, record in records.items() if any("SUV" in note for note in record.get("notes", ()))]
    if suspicious:
        lines.append(
            f"The PET of {len(suspicious)} case(s), such as {suspicious[0]}, does not look like SUV: see autopet.json."
        )
    if summary.backup is not None:
        lines.append(f"The splits before are kept as {summary.backup}")
    if summary.skipped:
        lines.append(f"{len(summary.skipped)} case(s) are left out:\n{_listed(summary.skipped)}")
    return "\n".join(lines)
