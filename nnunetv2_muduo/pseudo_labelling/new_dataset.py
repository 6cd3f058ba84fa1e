"""The nnU-Net dataset that pseudo-labels are laid out in: its name, whose its files are, images, folds."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_muduo.cases.folds import folds_of
from nnunetv2_muduo.cases.training_files import ListedFiles, training_files
from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.files import clear_away_left_behind, link_or_copy, sha256_of, write_text
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.nnunet_files import SPLITS, is_plain_name, read_splits

_RECORD = "pseudo_labels.json"  # tells a dataset of ours from any other, and files of ours from those changed by hand
_PARTS = ("imagesTr", "labelsTr")


@dataclass(frozen=True)
class LabelledCase:
    """A labelled case of the source.

    Attributes:
        images: name in an imagesTr -> file.
        label_map: file.
    """

    images: dict[str, Path]
    label_map: Path


@dataclass(frozen=True)
class PseudoDataset:
    """A laid out dataset.

    Attributes:
        folder: in nnUNet_raw.
        pseudo_labelled, labelled: how many cases.
        incomplete: cases in which a required organ is missing.
        left_out: those of them that are not in the dataset.
        ignored_share: of the voxels of all pseudo-labelled cases.
    """

    folder: Path
    pseudo_labelled: int
    labelled: int
    incomplete: tuple[str, ...]
    left_out: tuple[str, ...]
    ignored_share: float


def dataset_name(target: str, source: str) -> str:
    """The new dataset's name: as given, or the source's with another number and `Pseudo` behind it.

    Raises:
        UserError: for what is neither a number of up to three digits nor a name nnU-Net accepts.
    """
    if target.isdecimal() and 0 < int(target) < 1000:
        return f"Dataset{int(target):03d}_{source[11:]}Pseudo"
    is_named = target.startswith("Dataset") and target[7:10].isdecimal() and target[10:11] == "_" and len(target) > 11
    if is_named and is_plain_name(target):
        return target
    raise UserError(f"'{target}' is no dataset: give a number such as 321 or a name such as Dataset321_AutoPETPseudo.")


def labelled_cases(source: Path, dataset_json: Mapping) -> dict[str, LabelledCase]:
    """The cases of a dataset that have images and a label map, by name.

    Args:
        source: its folder in nnUNet_raw.
        dataset_json: its description; a list of files (`dataset`) stands for imagesTr and labelsTr, as in nnU-Net.

    Raises:
        UserError: if files are listed that do not end as the dataset's do.
    """
    ending, found = dataset_json["file_ending"], training_files(source, dataset_json)
    cases = {name: _as_imagestr(name, files, ending, source) for name, files in found.items()}
    return {name: case for name, case in cases.items() if case.label_map.is_file()}


def _as_imagestr(name: str, files: ListedFiles, ending: str, source: Path) -> LabelledCase:
    """A listed case under the names that its files have in an imagesTr."""
    if others := [file for file in (*files.images, files.label) if not file.name.endswith(ending)]:
        raise UserError(f"{others[0]}, listed in the dataset.json of {source.name}, is no {ending} file; convert it.")
    images = {f"{name}_{channel:04d}{ending}": file for channel, file in enumerate(files.images)}
    return LabelledCase(images, files.label)


def cases_to_keep(
    source: Path, dataset_json: Mapping, scans: Mapping[str, tuple[Path, ...]]
) -> dict[str, LabelledCase]:
    """The source's labelled cases that go into the new dataset beside the scans to pseudo-label.

    A scan that is a labelled case itself, as `muduo split --rest-unlabelled` links it, is to count as unlabelled.

    Raises:
        UserError: if a labelled case and another scan have one name.
    """
    labelled = labelled_cases(source, dataset_json)
    twice = sorted(set(labelled) & set(scans))
    for case in twice:
        if next(iter(labelled[case].images.values())).samefile(scans[case][0]):
            del labelled[case]
    if others := [case for case in twice if case in labelled]:
        raise UserError(f"Labelled and pseudo-labelled cases share the name(s) {listed(others)}; rename the scans.")
    return labelled


def check_target(raw: Path, name: str, *, overwrite: bool) -> None:
    """Whether a dataset of this name may be made.

    Args:
        raw: nnUNet_raw.
        name: of the dataset.
        overwrite: whether files that are not as an earlier run left them are replaced or removed.

    Raises:
        UserError: if its number or its name is another dataset's, or if what an earlier run made was changed since.
    """
    others = [path.name for path in raw.glob(f"{name[:10]}_*") if path.name != name]
    if others:
        raise UserError(f"Dataset number {name[7:10]} is taken by {others[0]}; choose another.")
    folder = raw / name
    if folder.exists() and not (folder / _RECORD).is_file():
        raise UserError(f"{folder} is there already and was not made by this command; choose another number or name.")
    if overwrite or not (folder / "dataset.json").is_file():  # a run that was stopped had nothing to correct
        return
    noted = read_table(folder / _RECORD).get("files")
    if not isinstance(noted, dict):
        raise UserError(
            f"{folder} was laid out by an earlier version, which did not note its files, so that changes by hand "
            "cannot be told; choose another number or name, or lay it out anew with --overwrite."
        )
    now = _files_of(folder)
    if changed := sorted(file for file in now if file not in noted or noted[file] != now[file]):
        raise UserError(
            f"{len(changed)} file(s) of {folder}, such as {changed[0]}, were added or changed since it was laid out "
            "and would be lost; choose another number or name, or lay it out anew with --overwrite."
        )


def claim_folder(raw: Path, name: str, *, overwrite: bool = False) -> Path:
    """The new dataset's folder, emptied if an earlier run made it.

    Raises:
        UserError: as `check_target`.
    """
    check_target(raw, name, overwrite=overwrite)
    folder = raw / name
    (folder / "dataset.json").unlink(missing_ok=True)  # without it, nnU-Net takes no half of a dataset for a whole one
    _note(folder, {})
    clear_away_left_behind(folder)
    for part in _PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir()
    return folder


def _note(folder: Path, files: Mapping[str, str | None]) -> None:
    write_text(folder / _RECORD, json.dumps({"made_by": "muduo pseudo-label", "files": files}, indent=1) + "\n")


def _files_of(folder: Path) -> dict[str, str | None]:
    """File -> SHA-256 of a label map; images, and links, whose content is the source's, are told by their names."""
    paths = [path for part in _PARTS for path in sorted((folder / part).glob("[!.]*"))]
    own = {path for path in paths if path.parent.name == "labelsTr" and not path.is_symlink()}
    return {path.relative_to(folder).as_posix(): sha256_of(path) if path in own else None for path in paths}


def place_images(
    pseudo: Mapping[str, tuple[Path, ...]],
    labelled: Mapping[str, LabelledCase],
    folder: Path,
    *,
    file_ending: str,
    copy: bool,
) -> None:
    """Images of all cases, those of the pseudo-labelled ones given by case, and the label maps of the labelled ones."""
    for name, case in labelled.items():
        link_or_copy(case.label_map, folder / "labelsTr" / f"{name}{file_ending}", copy=copy)
        for image_name, image in case.images.items():
            link_or_copy(image, folder / "imagesTr" / image_name, copy=copy)
    for images in pseudo.values():
        for image in images:
            link_or_copy(image, folder / "imagesTr" / image.name, copy=copy)


def write_dataset_json(folder: Path, source: Mapping, *, labels: Mapping[str, int], cases: int) -> None:
    """dataset.json of the new dataset, with what the source's says of channels and files; its files are noted first."""
    _note(folder, _files_of(folder))
    kept = ("channel_names", "modality", "file_ending", "overwrite_image_reader_writer")
    content = {key: source[key] for key in kept if key in source} | {"labels": dict(labels), "numTraining": cases}
    write_text(folder / "dataset.json", json.dumps(content, indent=2) + "\n")


def write_splits(source: str, target: str, labelled: Sequence[str], pseudo: Sequence[str]) -> None:
    """The source's folds, with every pseudo-labelled case to train on: validation on guesses would mean little.

    Where the source has none yet, those that nnU-Net would make of its labelled cases, or, of a single one, a fold that
    trains and validates on it. Nothing is written where nnUNet_preprocessed is not set.
    """
    preprocessed = os.environ.get("nnUNet_preprocessed")
    if not preprocessed:
        return
    path = Path(preprocessed) / source / SPLITS
    if path.is_file():
        folds = read_splits(path)
    elif len(labelled) > 1:
        folds = folds_of(labelled)
    else:  # the one there is says little, and guesses nothing
        folds = [{"train": list(labelled), "val": list(labelled)}]
    known = set(labelled)
    splits = [
        {"train": sorted([*(set(fold["train"]) & known), *pseudo]), "val": sorted(set(fold["val"]) & known)}
        for fold in folds
    ]
    folder = path.parent.with_name(target)
    clear_away_left_behind(folder)
    write_text(folder / path.name, json.dumps(splits, indent=4) + "\n")
