"""What `muduo pseudo-label` does: prompts, both teachers, label maps, agreement and a table of quality."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tqdm import tqdm

from nnunetv2_muduo.cases.channels import channel_names, find_channels
from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.datasets.scan_io import check_is_one_file
from nnunetv2_muduo.datasets.tiff_spacing import TIFF
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import sha256_of, write_text
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json, single_label
from nnunetv2_muduo.nnunet_folders import nnunet_folder
from nnunetv2_muduo.pseudo_labelling.case_files import CaseJob, OutputFolder, ReadCase, case_stamp, read_case
from nnunetv2_muduo.pseudo_labelling.case_pictures import draw_again, draw_picture
from nnunetv2_muduo.pseudo_labelling.case_quality import MISSING, OrganQuality, Thresholds, quality_csv, summary_table
from nnunetv2_muduo.pseudo_labelling.dual_scan import PROMPTING, DualScan
from nnunetv2_muduo.pseudo_labelling.prompt_maps import PromptModel, check_model, predict_prompts
from nnunetv2_muduo.settings import Settings
from nnunetv2_muduo.teachers.protocol import PromptableTeacher
from nnunetv2_muduo.teachers.weights import find_weights, load_teacher
from nnunetv2_muduo.worker_pool import read_ahead


@dataclass(frozen=True)
class PseudoLabels:
    """What a run left behind.

    Attributes:
        output: the folder and the files in it.
        scans: case -> files of the scan, one for each channel; the finished cases.
        qualities: case -> a row for each organ.
        problems: case or file -> why it was left out.
        organs: name -> label.
    """

    output: OutputFolder
    scans: dict[str, tuple[Path, ...]]
    qualities: dict[str, tuple[OrganQuality, ...]]
    problems: dict[str, str]
    organs: dict[str, int]


def pseudo_label(
    dataset: str,
    *,
    prompts: Path | PromptModel,
    output: Path,
    scans_folder: Path | None = None,
    settings: Settings | None = None,
    thresholds: Thresholds | None = None,
    device: torch.device | None = None,
    num_processes: int = 2,
    figures: bool = True,
    log: Callable[[str], object] = print,
) -> PseudoLabels:
    """Pseudo-label a folder of scans; finished cases whose scan, prompts, teachers and settings stayed are skipped.

    Writes labels/, agreement/, figures/ and quality.csv into `output`, and prompts/ where a model makes them. The
    thresholds only decide what quality.csv and the pictures suggest: another run with others changes that and asks no
    teacher.

    Args:
        dataset: name, such as Dataset221_AutoPET; its dataset.json tells channels and organs.
        prompts: label maps {case}{file_ending} on the scans' grids, or the model that makes them.
        output: folder, made if missing.
        scans_folder: {case}_0000{file_ending} and so on; None: imagesUn of the dataset.
        settings: teachers and how they are prompted; None: the defaults.
        thresholds: of the suggestion to keep or to drop.
        device: of the teachers and the model; None: the CPU.
        num_processes: workers that read the next cases.
        figures: draw a picture of each case.
        log: is told what is done.

    Raises:
        UserError: if a folder, the model or a teacher's weights are missing, if labels are regions, or no scan is left.
    """
    settings, thresholds, device = settings or Settings(), thresholds or Thresholds(), device or torch.device("cpu")
    raw = nnunet_folder("nnUNet_raw") / dataset
    dataset_json = read_dataset_json(raw / "dataset.json", needs=OF_SCANS_AND_LABELS)
    organs, target = plain_organs(dataset_json), OutputFolder(output, dataset_json["file_ending"])
    scans, problems = find_unlabelled(scans_folder or raw / "imagesUn", target.file_ending)
    target.clear_away_left_behind()
    prompt_folder = output / "prompts" if isinstance(prompts, PromptModel) else prompts
    jobs = case_jobs(scans, prompt_folder, dataset_json, find_channels(dataset_json, settings), organs)
    check_prompts(prompts, jobs, organs=organs)  # before teachers of a gigabyte are fetched
    stamp = _common_stamp(settings, organs)  # missing weights are told before anything is predicted
    problems |= make_prompts(prompts, jobs, prompt_folder, organs=organs, device=device, num_processes=num_processes)
    stamps = {job.case: case_stamp(job, stamp) for job in jobs if job.case not in problems}
    qualities, waiting = _finished(jobs, stamps, target)
    if figures:
        draw_again(jobs, qualities, target, thresholds, num_processes=num_processes)
    if waiting:
        labelling = _Labelling(_teachers(settings, device), target, stamps, organs, thresholds if figures else None)
        new, bad = labelling.all(waiting, num_processes)
        qualities, problems = qualities | new, problems | bad
    elif qualities:
        log(f"All {len(qualities)} cases are finished already; no teacher has anything to do.")
    qualities = {case: qualities[case] for case in scans if case in qualities}  # in the order of the scans
    _report(qualities, problems, thresholds, target, log)
    if not qualities:
        raise UserError(f"None of the {len(scans)} scans could be pseudo-labelled; the reasons are above.")
    return PseudoLabels(target, {case: scans[case] for case in qualities}, qualities, problems, organs)


def make_prompts(
    prompts: Path | PromptModel,
    jobs: Sequence[CaseJob],
    folder: Path,
    *,
    organs: Mapping[str, int],
    device: torch.device,
    num_processes: int,
) -> dict[str, str]:
    """Let a model, if one is given, predict; case -> reason, for scans that it cannot be shown."""
    check_prompts(prompts, jobs, organs=organs)
    if isinstance(prompts, PromptModel):
        labels = {"background": 0, **organs}
        return predict_prompts(prompts, jobs, folder, labels=labels, device=device, num_processes=num_processes)
    return {}


def check_prompts(prompts: Path | PromptModel, jobs: Sequence[CaseJob], *, organs: Mapping[str, int]) -> None:
    """Raise UserError for a folder that is not there, and for a model that is not there or not of these scans."""
    if isinstance(prompts, PromptModel):
        check_model(prompts, jobs[0], {"background": 0, **organs})
    elif not prompts.is_dir():
        raise UserError(f"There is no folder {prompts}; --predictions wants what nnUNetv2_predict wrote.")


def _finished(
    jobs: Sequence[CaseJob], stamps: Mapping[str, dict], target: OutputFolder
) -> tuple[dict[str, tuple[OrganQuality, ...]], list[CaseJob]]:
    """Rows of the cases that were made from just this before, and the jobs that are left, of those with a stamp."""
    done = {case: target.finished(case, stamp) for case, stamp in stamps.items()}
    waiting = [job for job in jobs if job.case in done and done[job.case] is None]
    return {case: rows for case, rows in done.items() if rows is not None}, waiting


def plain_organs(dataset_json: Mapping) -> dict[str, int]:
    """Organ -> label, without background and ignore label.

    Raises:
        UserError: if labels are regions, of which a label map holds no organ by itself.
    """
    labels = {name: single_label(value) for name, value in dataset_json["labels"].items()}
    if regions := [name for name, value in labels.items() if value is None]:
        raise UserError(
            f"Labels {', '.join(regions)} of the dataset are regions; pseudo-labels need one integer for each organ."
        )
    return {name: value for name, value in labels.items() if value and name != "ignore"}


def find_unlabelled(folder: Path, ending: str) -> tuple[dict[str, tuple[Path, ...]], dict[str, str]]:
    """Case -> files of the scans of a folder, and file -> why it is none; at least one scan.

    Raises:
        UserError: if the folder is missing or holds no scan, or scans of a format that does not do.
    """
    if ending.lower() in TIFF:
        raise UserError(
            f"{ending} files do not say how large their voxels are and how the patient lies in them, as teachers need "
            "it; convert the dataset to .nii.gz."
        )
    check_is_one_file(ending)  # as label maps are written
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}; put the unlabelled scans there or name another with -i.")
    scans, problems = find_scans(folder, ending)
    if not scans:
        why = "".join(f"; {name}: {reason}" for name, reason in sorted(problems.items())[:1])
        raise UserError(f"There is nothing to label: {folder} holds no scan {{case}}_0000{ending}{why}.")
    return scans, problems


def case_jobs(
    scans: Mapping[str, tuple[Path, ...]],
    prompt_folder: Path,
    dataset_json: Mapping,
    channels: tuple[int, int],
    organs: Mapping[str, int],
) -> list[CaseJob]:
    """What reads the scans and, from a folder, their prompts; channels are (CT, PET)."""
    ending, known = dataset_json["file_ending"], frozenset({0, *organs.values()})
    names = channel_names(dataset_json)
    return [
        CaseJob(case, files, prompt_folder / f"{case}{ending}", names, channels, ending, known)
        for case, files in scans.items()
    ]


def _common_stamp(settings: Settings, organs: Mapping[str, int]) -> dict:
    """What all cases depend on: the teachers' weights, how they are asked and about what."""
    named = {"ct": settings.ct_teacher, "pet": settings.pet_teacher}
    files = {key: None if name is None else find_weights(name, download=True) for key, name in named.items()}
    return {
        "teachers": {key: None if file is None else sha256_of(file) for key, file in files.items()},
        "settings": {key: getattr(settings, key) for key in PROMPTING},
        "organs": dict(organs),
    }


@dataclass(frozen=True)
class _Labelling:
    """What labelling needs besides the case."""

    dual: DualScan
    target: OutputFolder
    stamps: Mapping[str, dict]
    organs: Mapping[str, int]
    thresholds: Thresholds | None  # None draws no picture

    def all(self, jobs: Sequence[CaseJob], num_processes: int) -> tuple[dict[str, tuple[OrganQuality, ...]], dict]:
        """Workers read, this process alone asks the teachers and writes; rows of each case, and problems."""
        qualities: dict[str, tuple[OrganQuality, ...]] = {}
        problems: dict[str, str] = {}
        cases = read_ahead(read_case, jobs, num_processes=num_processes)
        for read in tqdm(cases, total=len(jobs), desc="pseudo-labels", unit="case"):
            if read.reason is not None:
                problems[read.case] = read.reason
            else:
                for warning in read.warnings:
                    tqdm.write(f"WARNING: {read.case}: {warning}")
                qualities[read.case] = self.one(read)
        return qualities, problems

    def one(self, read: ReadCase) -> tuple[OrganQuality, ...]:
        ct, pet, prompts, geometry = read.ct, read.pet, read.prompts, read.geometry
        assert ct is not None
        assert pet is not None
        assert prompts is not None
        assert geometry is not None
        result = self.dual.label(read.case, ct, pet, prompts, geometry=geometry, organs=self.organs)
        pictured = None
        if self.thresholds is not None:
            pictured = draw_picture(self.target, read, result.labels, result.qualities, self.thresholds)
        self.target.write(read.case, result, geometry, self.stamps[read.case], pictured=pictured)
        return result.qualities


def _teachers(settings: Settings, device: torch.device) -> DualScan:
    def load(name: str | None, modality: str) -> PromptableTeacher | None:
        return None if name is None else load_teacher(name, shown=modality).to(device)  # type: ignore[attr-defined]

    return DualScan(load(settings.ct_teacher, "CT"), load(settings.pet_teacher, "PET"), settings, device)


def _report(
    qualities: Mapping[str, tuple[OrganQuality, ...]],
    problems: Mapping[str, str],
    thresholds: Thresholds,
    target: OutputFolder,
    log: Callable[[str], object],
) -> None:
    rows = [row for case in qualities.values() for row in case]
    table = target.folder / "quality.csv"
    write_text(table, quality_csv(rows, thresholds))
    if rows:
        log(summary_table(rows, thresholds))
        log(f"{len(qualities)} cases pseudo-labelled; a row per case and organ in {table}")
        missing = Counter(row.organ for row in rows if thresholds.judge(row)[0] == MISSING)
        if missing:
            told = ", ".join(f"{organ} ({number})" for organ, number in missing.items())
            log(f"Organs that every scan should show, but (so many) cases do not: {told}")
    if problems:
        log(f"{len(problems)} left out:")
        for name, reason in sorted(problems.items()):
            log(f"  {name}: {reason}")


def with_teachers(settings: Settings, *, ct: str | None, pet: str | None) -> Settings:
    """The settings with other teachers: a name, "none" to switch one off, or None to leave it.

    Raises:
        UserError: if both are switched off.
    """
    if ct is not None:
        settings = replace(settings, ct_teacher=None if ct == "none" else ct)
    if pet is not None:
        settings = replace(settings, pet_teacher=None if pet == "none" else pet)
    return settings
