"""What `muduo split` does: few-shot splits into nnU-Net's splits_final.json, and the rest into imagesUn as links."""

import json
import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunetv2_muduo.cases.scan_checks import find_scans
from nnunetv2_muduo.cases.unlabelled import IMAGES_FOLDER
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind, replacing, write_text
from nnunetv2_muduo.json_files import parse_json
from nnunetv2_muduo.nnunet_files import SPLITS, read_dataset_json
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder
from nnunetv2_muduo.patients import patients_of_dataset
from nnunetv2_muduo.transfer.few_shot import Amount, Split, draw_split, rest_of

_MOST_NAMES = 10


@dataclass(frozen=True)
class WrittenSplits:
    """What was written.

    Attributes:
        path: of splits_final.json.
        backup: where the splits before it are; None if there were none, or the same.
        splits: one a fold.
        patients: case -> patient, of all labelled cases.
        linked: cases that are unlabelled ones from now on.
        unlinked: cases whose links of an earlier split were taken away.
        validating_too: scans of imagesUn, which trainings learn from, whose patients validate in some fold.
    """

    path: Path
    backup: Path | None
    splits: tuple[Split, ...]
    patients: Mapping[str, str]
    linked: tuple[str, ...] = ()
    unlinked: tuple[str, ...] = ()
    validating_too: tuple[str, ...] = ()

    def table(self) -> str:
        """One line a fold: cases and patients to train and to validate on, and how many are left out."""
        lines = ["fold  labelled (patients)  validation (patients)  left out"]
        for fold, split in enumerate(self.splits):
            left = len(self.patients) - len(split.train) - len(split.val)
            train, val = self._count(split.train), self._count(split.val)
            lines.append(f"{fold:<4}  {train:<19}  {val:<21}  {left}")
            if len(split.train) <= _MOST_NAMES:
                lines.append(f"      labelled: {', '.join(split.train)}")
        return "\n".join(lines)

    def summary(self) -> str:
        """What was written where, for printing."""
        lines = [f"{len(self.patients)} labelled cases of {len(set(self.patients.values()))} patients", self.table()]
        lines += [f"Splits: {self.path}"]
        lines += [f"The splits before are kept as {self.backup}"] if self.backup else []
        lines += (
            [f"Unlabelled from now on: {len(self.linked)} cases, linked into {IMAGES_FOLDER}"] if self.linked else []
        )
        lines += [f"No longer unlabelled: {len(self.unlinked)} cases"] if self.unlinked else []
        if self.validating_too:
            number, first = len(self.validating_too), self.validating_too[0]
            lines.append(
                f"WARNING: {number} scan(s) of {IMAGES_FOLDER}, such as {first}, are of patients who validate: "
                "trainings learn from them, if from no label. Take them out of there."
            )
        return "\n".join(lines)

    def _count(self, cases: Sequence[str]) -> str:
        return f"{len(cases)} ({len({self.patients[case] for case in cases})})"


def write_splits(
    dataset: str | int,
    *,
    labelled: Amount,
    validation: Amount,
    seed: int = 0,
    folds: int = 1,
    patient: str | None = None,
    rest_unlabelled: bool = False,
    overwrite: bool = False,
) -> WrittenSplits:
    """Write the splits that nnU-Net's trainers take, `-f 0` the first.

    Labelled cases outside a fold are not used by nnU-Net. With `rest_unlabelled` their images are linked into imagesUn
    under their own names, where MuDuo takes them as unlabelled scans (a labelled case in imagesUn is refused where a
    fold uses it); images and labels stay where they are. Links that an earlier split made, to cases that this one
    trains or validates on, are taken away in any case.

    Args:
        dataset: name or number.
        labelled, validation: cases to train and to validate on.
        seed: of the draw; the same seed nests smaller numbers of labelled cases in larger ones.
        folds: splits to draw, each by itself.
        patient: regular expression that finds the patient at the start of a case's name; None: see
            `patients_of_dataset`.
        rest_unlabelled: whether to link what no fold uses and no validating patient owns.
        overwrite: whether to replace splits that are there; they are kept beside the new ones.

    Raises:
        UserError: if the dataset has not that many cases or has splits already, if the pattern finds no patient, or the
            file system knows no links.
    """
    if folds < 1:
        raise UserError(f"{folds} folds cannot be drawn; ask for at least 1.")
    name = find_dataset(str(dataset))
    raw, preprocessed = nnunet_folder("nnUNet_raw") / name, nnunet_folder("nnUNet_preprocessed") / name
    images = _labelled_cases(raw)
    patients = patients_of_dataset(raw, list(images), patient)
    splits = tuple(
        draw_split(patients, labelled=labelled, validation=validation, seed=seed, fold=fold) for fold in range(folds)
    )
    rest = rest_of(patients, splits)
    if rest_unlabelled and not rest:
        raise UserError("No case is left over to be an unlabelled one; ask for fewer labelled or validation cases.")
    path = preprocessed / SPLITS
    backup = write_splits_file(path, splits, overwrite=overwrite)
    if (raw / SPLITS).is_file():  # nnU-Net's planner copies it from there, and stops where the two differ
        write_splits_file(raw / SPLITS, splits, overwrite=True, keep=False)
    unlinked = _unlink(raw / IMAGES_FOLDER, {case: images[case] for case in images if case not in rest})
    linked = _link(raw / IMAGES_FOLDER, {case: images[case] for case in rest} if rest_unlabelled else {})
    return WrittenSplits(
        path, backup, splits, patients, linked, unlinked, _validating_too(raw, splits, patients, patient)
    )


def _validating_too(
    raw: Path, splits: Sequence[Split], patients: Mapping[str, str], pattern: str | None
) -> tuple[str, ...]:
    """Scans of imagesUn of patients who validate."""
    if not (raw / IMAGES_FOLDER).is_dir():
        return ()
    ending = read_dataset_json(raw / "dataset.json")["file_ending"]
    scans = list(find_scans(raw / IMAGES_FOLDER, ending)[0])
    of_all = patients_of_dataset(raw, [*patients, *scans], pattern)
    validating = {patients[case] for split in splits for case in split.val}
    return tuple(scan for scan in scans if of_all[scan] in validating)


def _labelled_cases(raw: Path) -> dict[str, tuple[Path, ...]]:
    """Case -> its images, of the cases that have a label map."""
    description = read_dataset_json(raw / "dataset.json", needs=("file_ending",))
    if "dataset" not in description and not (raw / "imagesTr").is_dir():
        raise UserError(f"{raw} has no imagesTr, so there are no labelled cases to split.")
    listed = get_filenames_of_train_images_and_targets(str(raw), deepcopy(description))
    cases = {
        str(case): tuple(Path(image) for image in entry["images"])
        for case, entry in sorted(listed.items())
        if Path(entry["label"]).is_file()
    }
    if not cases:
        raise UserError(f"{raw} has no labelled cases: no scan of imagesTr has a label map in labelsTr.")
    return cases


def write_splits_file(path: Path, splits: Sequence[Split], *, overwrite: bool, keep: bool = True) -> Path | None:
    """Write splits_final.json.

    Args:
        path: of the file.
        splits: one a fold.
        overwrite: replace other splits that are there.
        keep: keep those beside the new ones.

    Returns:
        Where the splits before these are kept; None if there were none, or the same.

    Raises:
        UserError: if there are others and they must not be replaced.
    """
    content = [{"train": list(split.train), "val": list(split.val)} for split in splits]
    clear_away_left_behind(path.parent)
    backup = None
    if path.is_file():
        before = path.read_bytes()
        if _same(before, content):
            return None
        if not overwrite:
            raise UserError(f"{path} exists already; replace it with --overwrite, which keeps it beside the new one.")
        if keep:
            backup = next(
                free for number in range(1, 10**6) if not (free := path.with_stem(f"{path.stem}_{number}")).exists()
            )
            with replacing(backup) as partial:
                partial.write_bytes(before)
    write_text(path, json.dumps(content, indent=4) + "\n")
    return backup


def _same(before: bytes, content: list) -> bool:
    try:
        return parse_json(before.decode("utf-8")) == content
    except ValueError:
        return False  # damaged: anything else is better, but it is kept all the same


def _link(folder: Path, cases: Mapping[str, Sequence[Path]]) -> tuple[str, ...]:
    """Link the images of cases into a folder; what is there already stays."""
    for image in (image for images in cases.values() for image in images):
        folder.mkdir(exist_ok=True)
        place = folder / image.name
        if place.exists() or place.is_symlink():
            continue
        try:
            place.symlink_to(os.path.relpath(image, folder))  # relative: the dataset's folder may be moved
        except OSError as error:
            raise UserError(
                f"{place} cannot be made a link ({error}); copy the images of the cases that are left out into "
                f"{folder} yourself."
            ) from error
    return tuple(cases)


def _unlink(folder: Path, cases: Mapping[str, Sequence[Path]]) -> tuple[str, ...]:
    """Take links to the images of these cases out of a folder; files and links to anything else stay."""
    unlinked = []
    for case, images in cases.items():
        ours = [place for image in images if _leads_to(place := folder / image.name, image)]
        for place in ours:
            place.unlink()
        if ours:
            unlinked.append(case)
    return tuple(unlinked)


def _leads_to(place: Path, image: Path) -> bool:
    """Whether `place` is a link to `image`, which may be a link itself."""
    return place.is_symlink() and os.path.abspath(place.parent / place.readlink()) == os.path.abspath(image)
