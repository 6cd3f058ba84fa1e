"""AutoPET-Organ: one map of many organs a case, matched to the scans by what the files are called."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunetv2_muduo.autopet.headers import ENDING
from nnunetv2_muduo.autopet.scans import Scan, identity
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.dataset import consecutive
from nnunetv2_muduo.harmonising.identifiers import check_encoding
from nnunetv2_muduo.json_files import read_json
from nnunetv2_muduo.nnunet_files import check_dataset_json

CLASSES = 12  # of AutoPET-Organ (arXiv 2606.15611); which value is which organ is not published with the paper
_OF_THE_RELEASE = {f"{name}{ENDING}".casefold() for name in ("SUV", "CTres", "CT", "PET", "SEG")}


def match_organ_maps(folder: Path, scans: Sequence[Scan]) -> tuple[dict[str, Path], list[Path]]:
    """Scan's name -> organ map, and the maps that belong to no scan.

    A map is called like its case, with or without the tracer in front (<tracer>_<patient>_<study>.nii.gz), or lies in
    folders that are (PETCT_<patient>/<study>/any name.nii.gz, PETCT_<patient>/<study>.nii.gz), or is called like a
    patient who has one study only, or lies in a folder called so under a name without digits, as one with digits may be
    that of another study. Case, spaces and punctuation do not matter (`identity`).

    Args:
        folder: searched at any depth; of one in nnU-Net's layout its labelsTr alone.
        scans: to match.

    Raises:
        UserError: if the folder is missing or has no map, if none belongs to a scan, or two belong to one.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder} with organ maps.")
    files = _map_files(folder)
    if not files:
        raise UserError(f"There is no {ENDING} file in {folder}; give the folder with the organ maps.")
    studies = {identity(scan.name): scan.name for scan in scans}
    patients = _only_studies(scans)
    matched: dict[str, Path] = {}
    strangers: list[Path] = []
    for file in files:
        check_encoding(file.resolve())
        name = _name_of_scan(file, studies, patients)
        if name is None:
            strangers.append(file)
        elif name in matched:
            raise UserError(
                f"{matched[name]} and {file} both belong to {name}; keep one map of all its organs "
                "(separate masks of single organs must be merged first)."
            )
        else:
            matched[name] = file
    if not matched:
        raise UserError(
            f"None of the {len(files)} organ maps in {folder} is called like a scan: {files[0].name} and so on against "
            f"{scans[0].name} and so on; rename the maps like the scans."
        )
    return matched, strangers


def organ_labels(folder: Path, names: Path | None = None) -> tuple[dict[str, int], bool]:
    """nnU-Net's labels of the organ maps, and whether anybody named them.

    Args:
        folder: with the maps; its dataset.json, or that of the folder above, names them unless `names` does.
        names: JSON file: {"liver": 1, ...}, {"1": "liver", ...}, or one of these under "labels" as in dataset.json.

    Returns:
        name -> value with the background 0; "organ_1" to "organ_12" where no file tells.

    Raises:
        UserError: unless the file names the values 1, 2, 3, ... without a gap.
    """
    if names is None:
        places = (folder / "dataset.json", folder.parent / "dataset.json")
        names = next((place for place in places if place.is_file()), None)
    if names is None:
        return {"background": 0} | {f"organ_{value}": value for value in range(1, CLASSES + 1)}, False
    content = read_json(names)
    given = content.get("labels", content) if isinstance(content, dict) else None
    if not isinstance(given, dict) or not given:
        raise UserError(f'{names} names no organs; write it as {{"liver": 1, "spleen": 2, ...}}.')
    labels = {name: value for name, value in _by_name(names, given).items() if value != 0}
    check_dataset_json({"labels": labels}, names)
    return consecutive({"background": 0} | labels, names), True


def _map_files(folder: Path) -> list[Path]:
    root = folder / "labelsTr" if (folder / "labelsTr").is_dir() else folder
    return sorted(
        Path(place) / name
        for place, _, names in os.walk(root, followlinks=False)
        for name in names
        if name.endswith(ENDING) and not name.startswith(".") and name.casefold() not in _OF_THE_RELEASE
    )


def _name_of_scan(file: Path, studies: Mapping[str, str], patients: Mapping[str, str]) -> str | None:
    """The scan that a map belongs to by what it or its folders are called, the most telling first.

    Args:
        file: the map.
        studies, patients: identity -> name of the scan; patients of one study alone.
    """
    stem = file.name.removesuffix(ENDING)
    above, top = file.parent.name, file.parent.parent.name
    for called in (stem, f"{top}_{above}", f"{above}_{stem}", above):
        if (name := studies.get(identity(called))) is not None:
            return name
    may_be_a_study = any(letter.isdigit() for letter in stem)
    return patients.get(identity(stem)) or (None if may_be_a_study else patients.get(identity(above)))


def _only_studies(scans: Sequence[Scan]) -> dict[str, str]:
    """Patient -> name of the study, of patients who have only one."""
    names: dict[str, list[str]] = {}
    for scan in scans:
        names.setdefault(scan.patient, []).append(scan.name)
    return {patient: studies[0] for patient, studies in names.items() if len(studies) == 1}


def _by_name(file: Path, given: Mapping) -> dict[str, int]:
    """{"liver": 1}, also of {"1": "liver"}."""
    if all(str(key).isdecimal() and isinstance(value, str) for key, value in given.items()):
        if len(set(given.values())) < len(given):
            raise UserError(f"{file} gives two values one name; nnU-Net wants a name for each.")
        return {name: int(value) for value, name in given.items()}
    if all(isinstance(value, int) and not isinstance(value, bool) for value in given.values()):
        return {str(name): value for name, value in given.items()}
    raise UserError(f'{file} does not name whole numbers; write it as {{"liver": 1, "spleen": 2, ...}}.')
