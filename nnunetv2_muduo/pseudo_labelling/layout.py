"""Pseudo-labelled cases laid out as an nnU-Net dataset; what is in doubt carries the ignore label."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import link_or_copy, replacing, write_text
from nnunetv2_muduo.nnunet_folders import nnunet_folder, read_json
from nnunetv2_muduo.pseudo_labelling.case_labels import CERTAIN
from nnunetv2_muduo.pseudo_labelling.case_quality import DROP, Thresholds
from nnunetv2_muduo.pseudo_labelling.claims import Claims
from nnunetv2_muduo.pseudo_labelling.recipe import PseudoLabels, plain_organs
from nnunetv2_muduo.semisupervised.scan_checks import find_scans

_RECORD = "pseudo_labels.json"  # tells a dataset of ours from any other


@dataclass(frozen=True)
class PseudoDataset:
    """A laid out dataset.

    Attributes:
        folder: in nnUNet_raw.
        pseudo_labelled, labelled: how many cases.
        ignored_share: of the voxels of all pseudo-labelled cases.
    """

    folder: Path
    pseudo_labelled: int
    labelled: int
    ignored_share: float


def masked_labels(
    labels: np.ndarray,
    agreement: np.ndarray,
    claims: Claims,
    *,
    dropped: Sequence[int],
    ignore: int,
    min_agreement: float = 0.5,
) -> np.ndarray:
    """A label map whose doubtful voxels carry the ignore label: none is trained on, as an organ or as background.

    In doubt is what the prompt or either teacher's answer of a dropped organ lays claim to, even where a kept organ has
    won the voxel (measured: a claim in such a place is often right), and what the teachers disagree about.

    Args:
        labels: [Z, Y, X] label map.
        agreement: [Z, Y, X] per cent.
        claims: of all organs.
        dropped: labels of the dropped organs.
        ignore: the ignore label.
        min_agreement: less, in [0, 1], is in doubt.

    Returns:
        [Z, Y, X], uint8 where it suffices, else uint16.
    """
    doubtful = claims.of(dropped, labels.shape) | np.isin(labels, dropped) | (agreement < min_agreement * CERTAIN)
    return np.where(doubtful, ignore, labels).astype(np.uint8 if ignore < 256 else np.uint16)


def lay_out(
    result: PseudoLabels,
    *,
    source: str,
    target: str,
    thresholds: Thresholds,
    with_labelled: bool = True,
    copy: bool = False,
    min_agreement: float = 0.5,
) -> PseudoDataset:
    """Write nnUNet_raw/DatasetYYY_Name: pseudo-labelled and labelled cases, for stock planning and training.

    Images are symbolic links where the file system has them. If the source has splits, the new dataset gets its own:
    the folds validate on the same labelled cases as the source's, and all train on every pseudo-labelled case.

    Args:
        result: of `pseudo_label`.
        source: name of the dataset the labelled cases come from.
        target: number or name of the new one.
        thresholds: organs below them are dropped.
        with_labelled: add the source's own cases.
        copy: copy images instead of linking them.
        min_agreement: voxels with less agreement carry the ignore label.

    Raises:
        UserError: if the target belongs to another dataset, a case's name occurs twice, labels are regions or there is
            no pseudo-labelled case.
    """
    if not result.qualities:
        raise UserError("There is no pseudo-labelled case to lay out; see why above.")
    raw = nnunet_folder("nnUNet_raw")
    dataset_json = read_json(raw / source / "dataset.json")
    labels = _labels_with_ignore(dataset_json)
    labelled = _labelled_cases(raw / source, dataset_json["file_ending"]) if with_labelled else {}
    twice = sorted(set(labelled) & set(result.qualities))
    if twice:
        raise UserError(
            f"Labelled and pseudo-labelled cases share the name(s) {', '.join(twice[:5])}; rename the scans."
        )
    folder = _claim(raw, dataset_name(target, source))
    ignored = _write_pseudo_labels(result, folder, labels["ignore"], thresholds, min_agreement)
    for images, label_map in labelled.values():
        link_or_copy(label_map, folder / "labelsTr" / label_map.name, copy=copy)
        for image in images:
            link_or_copy(image, folder / "imagesTr" / image.name, copy=copy)
    for images in (result.scans[case] for case in result.qualities):
        for image in images:
            link_or_copy(image, folder / "imagesTr" / image.name, copy=copy)
    kept = ("channel_names", "modality", "file_ending", "overwrite_image_reader_writer")
    content = {key: dataset_json[key] for key in kept if key in dataset_json}
    content |= {"labels": labels, "numTraining": len(labelled) + len(result.qualities)}
    write_text(folder / "dataset.json", json.dumps(content, indent=2) + "\n")
    if labelled:
        _write_splits(source, folder.name, sorted(labelled), sorted(result.qualities))
    return PseudoDataset(folder, len(result.qualities), len(labelled), ignored)


def dataset_name(target: str, source: str) -> str:
    """The new dataset's name: as given, or the source's with another number and `Pseudo` behind it.

    Raises:
        UserError: for what is neither a number of up to three digits nor a name nnU-Net accepts.
    """
    if target.isdecimal() and 0 < int(target) < 1000:
        return f"Dataset{int(target):03d}_{source[11:]}Pseudo"
    if target.startswith("Dataset") and target[7:10].isdecimal() and target[10:11] == "_" and len(target) > 11:
        return target
    raise UserError(f"'{target}' is no dataset: give a number such as 321 or a name such as Dataset321_AutoPETPseudo.")


def _labels_with_ignore(dataset_json: Mapping) -> dict[str, int]:
    """The dataset's labels and the ignore label, which nnU-Net wants to be the highest."""
    organs = plain_organs(dataset_json)
    return {"background": 0, **organs, "ignore": max(organs.values()) + 1}


def _labelled_cases(source: Path, ending: str) -> dict[str, tuple[tuple[Path, ...], Path]]:
    """Case -> images and label map, of the cases that have both."""
    scans, _ = find_scans(source / "imagesTr", ending)
    label_maps = {case: source / "labelsTr" / f"{case}{ending}" for case in scans}
    return {case: (scans[case], path) for case, path in label_maps.items() if path.is_file()}


def _claim(raw: Path, name: str) -> Path:
    """The new dataset's folder, emptied if an earlier run made it."""
    others = [path.name for path in raw.glob(f"{name[:10]}_*") if path.name != name]
    if others:
        raise UserError(f"Dataset number {name[7:10]} is taken by {others[0]}; choose another.")
    folder = raw / name
    if folder.exists() and not (folder / _RECORD).is_file():
        raise UserError(f"{folder} is there already and was not made by this command; choose another number or name.")
    write_text(folder / _RECORD, json.dumps({"made_by": "muduo pseudo-label"}) + "\n")
    for part in ("imagesTr", "labelsTr"):
        shutil.rmtree(folder / part, ignore_errors=True)
        (folder / part).mkdir()
    return folder


def _write_pseudo_labels(
    result: PseudoLabels, folder: Path, ignore: int, thresholds: Thresholds, min_agreement: float
) -> float:
    """Write the label maps; returns the share of voxels that are ignored."""
    ignored = voxels = 0
    for case, rows in tqdm(result.qualities.items(), desc="label maps", unit="case"):
        image = sitk.ReadImage(str(result.output.labels(case)))
        masked = masked_labels(
            sitk.GetArrayFromImage(image),
            sitk.GetArrayFromImage(sitk.ReadImage(str(result.output.agreement(case)))),
            Claims.load(result.output.claims(case)),
            dropped=[row.label for row in rows if thresholds.judge(row)[0] == DROP],
            ignore=ignore,
            min_agreement=min_agreement,
        )
        ignored, voxels = ignored + int((masked == ignore).sum()), voxels + masked.size
        written = sitk.GetImageFromArray(masked)
        written.CopyInformation(image)
        with replacing(folder / "labelsTr" / f"{case}{result.output.file_ending}") as partial:
            sitk.WriteImage(written, str(partial), useCompression=True)
    return ignored / voxels


def _write_splits(source: str, target: str, labelled: Sequence[str], pseudo: Sequence[str]) -> None:
    """The source's folds, with every pseudo-labelled case to train on: validation on guesses would mean little."""
    preprocessed = os.environ.get("nnUNet_preprocessed")
    if not preprocessed or not (Path(preprocessed) / source / "splits_final.json").is_file():
        return
    folds = json.loads((Path(preprocessed) / source / "splits_final.json").read_text(encoding="utf-8"))
    known = set(labelled)
    splits = [
        {"train": sorted([*(set(fold["train"]) & known), *pseudo]), "val": sorted(set(fold["val"]) & known)}
        for fold in folds
    ]
    write_text(Path(preprocessed) / target / "splits_final.json", json.dumps(splits, indent=4) + "\n")
