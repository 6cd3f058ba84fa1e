"""What a conversion is going to do, found out from names and headers before anything is written."""

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from nnunetv2_muduo.autopet.case import ConversionJob
from nnunetv2_muduo.autopet.organ_maps import match_organ_maps, organ_labels
from nnunetv2_muduo.autopet.records import FORMAT, record_file
from nnunetv2_muduo.autopet.scans import Scan, find_autopet, without_patient
from nnunetv2_muduo.autopet.sets import Sets, draw_sets
from nnunetv2_muduo.autopet.target import TARGETS, target_labels
from nnunetv2_muduo.autopet.usable import Looked, label_files, look_at_headers
from nnunetv2_muduo.errors import UserError, listed, listed_reasons
from nnunetv2_muduo.files import file_stamp
from nnunetv2_muduo.transfer.few_shot import Amount

# set -> folders of images and of label maps
FOLDERS: Mapping[str, tuple[str, str | None]] = {
    "labelled": ("imagesTr", "labelsTr"),
    "validation": ("imagesTr", "labelsTr"),
    "test": ("imagesTs", "labelsTs"),
    "unlabelled": ("imagesUn", None),
}
A_FIFTH = Amount(20, percent=True)


@dataclass(frozen=True)
class Wishes:
    """What the user asked for.

    Attributes:
        folders: with scans, each in one of AutoPET's layouts.
        target: one of `TARGETS`.
        organs: folder with organ maps.
        organ_names: JSON file that names their values.
        labelled, validation, test, seed: see `draw_sets`.
        only: shell pattern of the names of cases to take; None: all.
        resample: bring what lies on another grid than the PET onto it, instead of leaving the case out.
        copy: copy files that need no change instead of linking them.
        every_voxel: look at all of each image.
    """

    folders: tuple[Path, ...]
    target: str
    organs: Path | None = None
    organ_names: Path | None = None
    labelled: Amount | None = None
    validation: Amount = A_FIFTH
    test: Amount | None = None
    seed: int = 0
    only: str | None = None
    resample: bool = False
    copy: bool = False
    every_voxel: bool = False

    def to_dict(self) -> dict:
        """For the manifest."""
        amounts = {key: getattr(self, key) for key in ("labelled", "validation", "test")}
        return {
            "folders": [str(folder.resolve()) for folder in self.folders],
            "target": self.target,
            "organs": None if self.organs is None else str(self.organs.resolve()),
            **{key: None if amount is None else str(amount) for key, amount in amounts.items()},
            "seed": self.seed,
            "only": self.only,
            "resample": self.resample,
            "copy": self.copy,
            "every_voxel": self.every_voxel,
        }


@dataclass(frozen=True)
class Plan:
    """What is going to be done.

    Attributes:
        wishes: of the user.
        dataset: folder.
        labels: of the dataset, with the background.
        sets: which case is for what.
        patients: case -> patient, of all cases in the draw.
        jobs: one a case of the sets, but for those that cannot be read.
        skipped: case or place -> reason.
        notes: what a user should know, one sentence each.
    """

    wishes: Wishes
    dataset: Path
    labels: Mapping[str, int]
    sets: Sets
    patients: Mapping[str, str]
    jobs: tuple[ConversionJob, ...]
    skipped: Mapping[str, str]
    notes: tuple[str, ...]

    def table(self) -> str:
        """A line a set: cases, patients and folder."""
        lines = [f"{'set':<11}{'cases':>6}{'patients':>10}  folders"]
        for name, (images, labels) in FOLDERS.items():
            cases = self.cases(name)
            people = len({self.patients[case] for case in cases})
            places = images if labels is None else f"{images}, {labels}"
            lines.append(f"{name:<11}{len(cases):>6}{people:>10}  {places}")
        if self.sets.left_out:
            lines.append(f"{'left out':<11}{len(self.sets.left_out):>6}{'':>10}  further studies of labelled patients")
        return "\n".join(lines)

    def cases(self, name: str) -> tuple[str, ...]:
        """Of a set, those that can be made as far as is known."""
        jobs = {job.name for job in self.jobs}
        return tuple(case for case in getattr(self.sets, name) if case in jobs)

    def size_in_bytes(self) -> int:
        """Of all files of the sets."""
        return sum(path.stat().st_size for job in self.jobs for path in job.sources.values())


def plan_conversion(wishes: Wishes, dataset: Path, *, log: Callable[[str], object]) -> Plan:
    """Find the scans and their labels, read all headers, draw the sets.

    Args:
        wishes: of the user.
        dataset: folder of the dataset to be.
        log: takes a line a case that cannot be used as it should.

    Raises:
        UserError: if nothing fits together or there are not enough cases.
    """
    _check_wishes(wishes, dataset)
    scans, skipped = find_autopet(wishes.folders)
    notes: list[str] = []
    maps, labels = _organs(wishes, scans, notes)  # of all scans: who has one study is not for --only to say
    scans = _wanted(scans, wishes.only, notes)
    looked = look_at_headers(scans, maps, target=wishes.target, resample=wishes.resample)
    _tell(looked, log)
    skipped |= looked.unusable | looked.unreadable
    if len(looked.in_draw) == len(looked.unreadable):
        raise UserError(f"None of the {len(scans)} cases can be used: {listed_reasons(skipped)}.")
    patients = {scan.name: scan.patient for scan in looked.in_draw}
    sets = draw_sets(
        patients,
        looked.with_labels,
        labelled=wishes.labelled,
        validation=wishes.validation,
        test=wishes.test,
        seed=wishes.seed,
    )
    which = sets.by_case()
    bad = _drawn_in_vain(looked, which, notes)
    jobs = tuple(
        _job(scan, which[scan.name], maps, labels, looked.plain, wishes, dataset)
        for scan in looked.in_draw
        if scan.name in which and scan.name not in bad
    )
    plan = Plan(wishes, dataset, labels, sets, patients, jobs, dict(sorted((skipped | bad).items())), tuple(notes))
    _check_readable(plan)
    return plan


def _wanted(scans: list[Scan], only: str | None, notes: list[str]) -> list[Scan]:
    """Scans called as is asked for."""
    if only is not None:
        pattern = unicodedata.normalize("NFC", only)  # as names of cases are
        scans = [scan for scan in scans if fnmatchcase(scan.name, pattern)]
        if not scans:
            raise UserError(f"No case is called like --only '{only}'; a pattern is written like 'fdg_*'.")
    if nameless := without_patient(scans):
        notes.append(
            f"{len(nameless)} case(s), such as {nameless[0]}, do not begin with fdg_, psma_ or PETCT_ and a patient: "
            "each counts as a patient of its own."
        )
    return scans


def _tell(looked: Looked, log: Callable[[str], object]) -> None:
    """A line a case whose labels are not as they should be."""
    for name, reason in looked.only_unlabelled.items():
        log(f"{name} can only be unlabelled: {reason}.")
    for name, reason in looked.unreadable_labels.items():
        log(f"{name}: {reason}.")


def _drawn_in_vain(looked: Looked, which: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Case -> reason, of the cases that were drawn and cannot be read."""
    problems = {case: looked.problem(case, labelled=FOLDERS[name][1] is not None) for case, name in which.items()}
    bad = {case: problem for case, problem in problems.items() if problem is not None}
    if short := [case for case in bad if which[case] != "unlabelled"]:
        notes.append(
            f"{len(short)} case(s) that were drawn cannot be read, such as {short[0]} ({bad[short[0]]}): until they "
            "are repaired and this command is run again, their sets are so many cases short; or ask for more."
        )
    return bad


def _check_wishes(wishes: Wishes, dataset: Path) -> None:
    needs_organs = "organs" in TARGETS[wishes.target]
    if needs_organs and wishes.organs is None:
        raise UserError(
            f"--target {wishes.target} needs organ maps, which AutoPET's own release does not have; name their "
            "folder with --organs, or choose --target lesions."
        )
    if not needs_organs and wishes.organs is not None:
        raise UserError("--organs has no use with --target lesions; choose --target organs or both.")
    for folder in (*wishes.folders, *([wishes.organs] if wishes.organs else [])):
        if dataset.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise UserError(f"{folder} lies within the dataset itself; name the folder with the original files.")


def _organs(wishes: Wishes, scans: list[Scan], notes: list[str]) -> tuple[dict[str, Path], dict[str, int]]:
    """Organ maps by case, and the labels of the dataset."""
    if wishes.organs is None:
        return {}, target_labels(wishes.target, None)
    maps, strangers = match_organ_maps(wishes.organs, scans)
    if strangers:
        shown = listed(str(path.relative_to(wishes.organs)) for path in strangers)
        notes.append(f"{len(strangers)} organ map(s) are called like no scan and are not used: {shown}.")
    organs, named = organ_labels(wishes.organs, wishes.organ_names)
    if not named:
        notes.append(
            f"Nothing names the organs, so they are organ_1 to organ_{len(organs) - 1}; name them with --organ-names."
        )
    return maps, target_labels(wishes.target, organs)


def _check_readable(plan: Plan) -> None:
    """Nothing can be trained without a case to train on and one to validate on."""
    for name in ("labelled", "validation"):
        if not plan.cases(name):
            bad = {case: plan.skipped[case] for case in getattr(plan.sets, name)}
            raise UserError(f"Not one {name} case can be read: {listed_reasons(bad)}.")


def _job(
    scan: Scan,
    which: str,
    maps: Mapping[str, Path],
    labels: Mapping[str, int],
    plain: Mapping[tuple[str, bool], bool],
    wishes: Wishes,
    dataset: Path,
) -> ConversionJob:
    images, label_folder = FOLDERS[which]
    sources = {"CT": scan.ct, "PET": scan.pet}
    if label_folder is not None:
        sources |= label_files(scan, maps, wishes.target) or {}
    made_from = {
        "format": FORMAT,
        "sources": {role: [str(path.resolve()), *file_stamp(path)[1:]] for role, path in sources.items()},
        "images": images,
        "labels": None if label_folder is None else dict(labels),
        "target": None if label_folder is None else wishes.target,
        "copy": wishes.copy,
    }
    return ConversionJob(
        name=scan.name,
        dataset=dataset,
        record=record_file(dataset, scan.name),
        images=images,
        labels=label_folder,
        sources=sources,
        label_of=labels,
        are_plain=plain[scan.name, label_folder is not None],
        copy=wishes.copy,
        every_voxel=wishes.every_voxel,
        made_from=json.loads(json.dumps(made_from)),
    )
