"""The labelled cases of nnU-Net's raw datasets, as files."""

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from nnunetv2_muduo.cases.channels import find_channel
from nnunetv2_muduo.cases.training_files import listed_files
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, SPLITS, read_dataset_json, read_splits
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder
from nnunetv2_muduo.patients import patients_of_dataset


@dataclass(frozen=True)
class CaseSource:
    """One labelled case.

    Attributes:
        dataset: such as Dataset221_AutoPET.
        case: its name there.
        image: file of the modality's channel.
        labels: file of the label map.
        low_quality: whether the labels are not to be trusted voxel by voxel.
    """

    dataset: str
    case: str
    image: Path
    labels: Path
    low_quality: bool = False

    @property
    def name(self) -> str:
        """A name that no case of another dataset has."""
        return f"{self.dataset}__{self.case}"


def read_dataset(name_or_id: str) -> tuple[str, dict]:
    """Full name and dataset.json of a raw dataset.

    Raises:
        UserError: if there is no such dataset, or it has no raw folder.
    """
    name = find_dataset(name_or_id)
    return name, read_dataset_json(nnunet_folder("nnUNet_raw") / name / "dataset.json", needs=OF_SCANS_AND_LABELS)


def labelled_cases(
    dataset: str, dataset_json: Mapping, *, modality: str, low_quality: bool = False
) -> list[CaseSource]:
    """All cases of a dataset that have a label map, in the order of their names.

    Raises:
        UserError: if the dataset has no channel of the modality, no labelled case, or a labelled case lacks its image.
    """
    folder, ending = nnunet_folder("nnUNet_raw") / dataset, dataset_json["file_ending"]
    try:
        channel = find_channel(dataset_json, modality)
    except UserError as error:
        raise UserError(f"{dataset}: {error}") from error
    if (listed := listed_files(folder, dataset_json)) is not None:
        files_of = {case: (files.images[channel], files.label) for case, files in listed.items()}
    else:
        cases = [path.name[: -len(ending)] for path in (folder / "labelsTr").glob(f"[!.]*{ending}")]
        files_of = {
            case: (folder / "imagesTr" / f"{case}_{channel:04d}{ending}", folder / "labelsTr" / f"{case}{ending}")
            for case in cases
        }
    if not files_of:
        raise UserError(f"{dataset} has no labelled case: {folder / 'labelsTr'} holds no file ending in {ending}.")
    sources = [CaseSource(dataset, case, *files, low_quality) for case, files in sorted(files_of.items())]
    for source in sources:
        for file in (source.image, source.labels):
            if not file.is_file():
                raise UserError(f"{file} of {source.dataset} is missing; put it there, or take the case out.")
    return sources


def hold_out(
    sources: list[CaseSource], *, fraction: float, fold: int | None
) -> tuple[list[CaseSource], list[CaseSource]]:
    """Divide one dataset's cases into those for training and those for validation.

    Args:
        sources: cases of one dataset, in the order of their names.
        fraction: share held out, the last ones, rounded up, and all others of their patients (`patients_of_dataset`);
            case by case where there is one patient. Ignored where a fold is given.
        fold: of nnU-Net's own splits (`splits_final.json` in nnUNet_preprocessed), whose training cases are learnt
            from; cases of neither part are left alone. None: use the fraction.

    Raises:
        UserError: if there are no such splits.
    """
    if fold is None:
        return _without_the_last(sources, number=math.ceil(fraction * len(sources) - 1e-9))  # 0.2 * 15 is more than 3
    path = _splits_of(sources[0].dataset)
    if not path.is_file():
        raise UserError(f"{path} is missing; let nnU-Net make its splits by training once, or use --val-fraction.")
    splits = read_splits(path)
    if fold >= len(splits):
        raise UserError(f"{path} has {len(splits)} folds; there is no fold {fold}.")
    train, held = ({*splits[fold][part]} for part in ("train", "val"))
    return [s for s in sources if s.case in train], [s for s in sources if s.case in held]


def _without_the_last(sources: list[CaseSource], *, number: int) -> tuple[list[CaseSource], list[CaseSource]]:
    """All but the last ones, and these with all other studies of their patients: so many of them, or a few more."""
    kept = len(sources) - number
    raw = nnunet_folder("nnUNet_raw") / sources[0].dataset
    patients = patients_of_dataset(raw, [source.case for source in sources])
    if len(set(patients.values())) == 1:
        return sources[:kept], sources[kept:]
    held: list[str] = []
    for source in reversed(sources):
        if sum(patient in held for patient in patients.values()) >= number:
            break
        held.append(patients[source.case])
    return [s for s in sources if patients[s.case] not in held], [s for s in sources if patients[s.case] in held]


def trained_by_no_fold(sources: Iterable[CaseSource]) -> list[str]:
    """Names of the cases that nnU-Net's splits, where there are any, put aside: as validation, or as unlabelled."""
    aside: list[str] = []
    if not os.environ.get("nnUNet_preprocessed"):
        return aside
    for dataset, cases in groupby(sorted(sources, key=attrgetter("dataset", "case")), key=attrgetter("dataset")):
        if (path := _splits_of(dataset)).is_file():
            trained = {case for fold in read_splits(path) for case in fold["train"]}
            aside += [source.case for source in cases if source.case not in trained]
    return aside


def _splits_of(dataset: str) -> Path:
    return nnunet_folder("nnUNet_preprocessed") / dataset / SPLITS
