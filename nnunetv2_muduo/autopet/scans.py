"""Finding AutoPET's scans, in the tree of the NIfTI release or in the challenge's nnU-Net layout."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from nnunetv2_muduo.autopet.headers import ENDING
from nnunetv2_muduo.cases.channels import channel_names, modality_of_channel
from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.errors import UserError, listed_reasons
from nnunetv2_muduo.harmonising.case_finding import find_cases
from nnunetv2_muduo.harmonising.identifiers import case_identifier, check_encoding
from nnunetv2_muduo.harmonising.layouts import PRESETS
from nnunetv2_muduo.nnunet_files import read_dataset_json
from nnunetv2_muduo.patients import DEFAULT_PATIENT, patients_of

_TRACER = re.compile(r"^(?:fdg|psma|petct)_+")
_BETWEEN_WORDS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Scan:
    """One study of a patient.

    Attributes:
        name: that the case will have, such as fdg_01140d52d8_08-13-2005-NA-PET-CT.
        patient: whose studies must not stand on two sides of a split; the same in both layouts.
        ct, pet: files, HU and SUV.
        lesions: label map; missing where nobody marked any.
        patient_has_folder: a folder is called like the patient; else the patient is what the name has up to its second
            underscore, or longer where such a folder says so.
    """

    name: str
    patient: str
    ct: Path
    pet: Path
    lesions: Path | None = None
    patient_has_folder: bool = False


def find_autopet(folders: Sequence[Path]) -> tuple[list[Scan], dict[str, str]]:
    """All scans of all folders, each in one of these layouts.

    - the release: PETCT_<patient>/<study>/ with CTres.nii.gz (else CT.nii.gz), SUV.nii.gz and SEG.nii.gz, at any depth
      (fdat.uni-tuebingen.de/records/wf9fy-txq84);
    - the challenge: imagesTr/<tracer>_<patient>_<study>_0000.nii.gz (CT) and _0001.nii.gz (PET), and labelsTr
      (fdat.uni-tuebingen.de/records/6gjsg-zcg93). A dataset.json that calls channel 0 PET and 1 CT is believed.

    Returns:
        The scans in the order of their names, and what -> reason for what looks like a scan but is none.

    Raises:
        UserError: if a folder is missing or there is no scan, if one study is there twice, or a path is not in UTF-8.
    """
    scans: list[Scan] = []
    reasons: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"There is no folder {folder}.")
        found, bad = (_of_challenge if (folder / "imagesTr").is_dir() else _of_release)(folder)
        scans += found
        reasons |= bad
    for scan in scans:
        check_encoding(*(path.resolve() for path in (scan.ct, scan.pet, scan.lesions) if path is not None))
    _check_each_is_there_once(scans)
    if not scans:
        why = f": {listed_reasons(reasons)}" if reasons else ""
        raise UserError(
            f"There is no scan in {', '.join(map(str, folders))}{why}; give the folder that holds "
            "PETCT_<patient>/<study>/, or the one that holds imagesTr."
        )
    return sorted(_patients_made_one(scans), key=lambda scan: scan.name), reasons


def identity(name: str) -> str:
    """A name for comparing: no tracer in front, no capitals, one underscore for all but letters and digits.

    fdg_01140d52d8_08-13-2005 NA, PETCT_01140d52d8_08-13-2005__NA and 01140d52d8_08-13-2005_NA are one and the same.
    """
    composed = unicodedata.normalize("NFC", name).casefold()
    return _BETWEEN_WORDS.sub("_", _TRACER.sub("", composed)).strip("_")


def _patients_made_one(scans: Sequence[Scan]) -> list[Scan]:
    """The scans, with one patient for those of which only one layout tells where the patient's name ends.

    fdg_Mueller_Anna_s2 is a study of Mueller_Anna where there is a folder PETCT_Mueller_Anna, else Mueller's. Of
    several such patients it is the one with the longest name.
    """
    told = sorted({scan.patient for scan in scans if scan.patient_has_folder}, key=len)
    return [scan if scan.patient_has_folder else _of_patient_among(told, scan) for scan in scans]


def _of_patient_among(told: Sequence[str], scan: Scan) -> Scan:
    """The scan, as one of the last of these patients with whose name its own begins."""
    name = f"{identity(scan.name)}_"
    fitting = [patient for patient in told if patient and name.startswith(f"{patient}_")]
    return replace(scan, patient=fitting[-1]) if fitting else scan


def without_patient(scans: Iterable[Scan]) -> list[str]:
    """Names that do not tell the patient, so that each counts as one."""
    named = re.compile(DEFAULT_PATIENT)
    return [scan.name for scan in scans if not named.match(scan.name) and scan.patient == identity(scan.name)]


def _of_release(folder: Path) -> tuple[list[Scan], dict[str, str]]:
    cases, reasons = find_cases(folder, PRESETS["autopet"])
    scans = []
    for case in cases:
        called = _called(case.folder, below=folder)
        name = case_identifier(called)
        patient = called[0] if len(called) > 1 else patients_of([name])[name]
        scans.append(Scan(name, identity(patient), case.ct, case.pet, case.label, len(called) > 1))
    told = {}
    for place, reason in reasons.items():
        if "no PET" in reason and (folder / place / "PET.nii.gz").is_file():
            reason += ", and PET.nii.gz is in Bq/ml; convert it with `muduo harmonise --suv-from`"
        told[str(folder / place)] = reason
    return scans, told


def _called(folder: Path, *, below: Path) -> tuple[str, ...]:
    """Names of the patient's folder and the study's, as they are called here, whatever folder a link leads to.

    The study's alone where it is that which names a patient: PETCT_<patient> with the files in it.
    """
    patient, study = (below.resolve() / folder.relative_to(below)).parts[-2:]
    return (study,) if re.match(DEFAULT_PATIENT, study) and not re.match(DEFAULT_PATIENT, patient) else (patient, study)


def _of_challenge(folder: Path) -> tuple[list[Scan], dict[str, str]]:
    description = folder / "dataset.json"
    content = read_dataset_json(description) if description.is_file() else {}
    if (ending := content.get("file_ending", ENDING)) != ENDING:
        raise UserError(f"{folder} holds {ending} files, and AutoPET's are {ENDING}; use `muduo harmonise`.")
    found, reasons = find_scans(folder / "imagesTr", ENDING)
    swapped = _channels_are_swapped(content)
    images = _by_composed_name(found)
    labels = _label_maps(folder / "labelsTr")
    scans = []
    for case, files in images.items():
        numbers = [_channel(file) for file in files]
        if numbers != [0, 1]:
            shown = ", ".join(f"{number:04d}" for number in numbers)
            reasons[case] = f"channels {shown} instead of 0000 (CT) and 0001 (PET); copy the missing file again"
            continue
        name = case_identifier((case,))
        ct, pet = reversed(files) if swapped else files
        scans.append(Scan(name, identity(patients_of([name])[name]), ct, pet, labels.get(case)))
    for case in sorted(labels.keys() - images.keys()):
        reasons[labels[case].name] = "a label map without images; copy its images again"
    return scans, {str(folder / "imagesTr" / what): reason for what, reason in reasons.items()}


def _composed(name: str) -> str:
    """A name in Unicode's form NFC; some systems and archives decompose umlauts and accents."""
    return unicodedata.normalize("NFC", name)


def _channel(file: Path) -> int:
    return int(file.name.removesuffix(ENDING)[-4:])


def _by_composed_name(found: Mapping[str, Sequence[Path]]) -> dict[str, list[Path]]:
    """Case -> files in the order of their channels, which need not write the case's name in one form."""
    images: dict[str, list[Path]] = {}
    for case, files in found.items():
        images.setdefault(_composed(case), []).extend(files)
    for files in images.values():
        files.sort(key=_channel)
        for one, other in pairwise(files):
            if _channel(one) == _channel(other):
                raise _called_alike(one, other)
    return images


def _label_maps(folder: Path) -> dict[str, Path]:
    """Case, in the composed form -> label map; nothing where there is no such folder."""
    labels: dict[str, Path] = {}
    for label in sorted(folder.glob(f"[!.]*{ENDING}")):
        other = labels.setdefault(_composed(label.name.removesuffix(ENDING)), label)
        if other is not label:
            raise _called_alike(other, label)
    return {case: label for case, label in labels.items() if label.is_file()}


def _called_alike(one: Path, other: Path) -> UserError:
    return UserError(
        f"Two files in {one.parent} are called alike, {one.name}, with letters composed differently; keep one."
    )


def _channels_are_swapped(content: Mapping) -> bool:
    if "channel_names" not in content and "modality" not in content:
        return False
    return tuple(modality_of_channel(name) for name in channel_names(content)) == ("PET", "CT")


def _check_each_is_there_once(scans: Iterable[Scan]) -> None:
    seen: dict[str, Scan] = {}
    for scan in scans:
        other = seen.setdefault(identity(scan.name), scan)
        if other is not scan:
            raise UserError(f"{other.pet} and {scan.pet} are the same study, {scan.name}; give one of their folders.")
