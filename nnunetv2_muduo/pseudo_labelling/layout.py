"""Pseudo-labelled cases laid out as an nnU-Net dataset; what is in doubt carries the ignore label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from nnunetv2_muduo.datasets.scan_io import image_like, write_whole
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.nnunet_files import OF_SCANS_AND_LABELS, read_dataset_json
from nnunetv2_muduo.nnunet_folders import nnunet_folder
from nnunetv2_muduo.pseudo_labelling.case_files import OutputFolder
from nnunetv2_muduo.pseudo_labelling.case_labels import CERTAIN
from nnunetv2_muduo.pseudo_labelling.case_quality import DROP, MISSING, OrganQuality, Thresholds
from nnunetv2_muduo.pseudo_labelling.claims import Claims
from nnunetv2_muduo.pseudo_labelling.new_dataset import (
    PseudoDataset,
    cases_to_keep,
    claim_folder,
    dataset_name,
    place_images,
    write_dataset_json,
    write_splits,
)
from nnunetv2_muduo.pseudo_labelling.recipe import PseudoLabels, plain_organs

_LEAST_AGREEMENT = CERTAIN // 2  # per cent; what the teachers agree about less is in doubt


def masked_labels(
    labels: np.ndarray,
    agreement: np.ndarray,
    claims: Claims,
    *,
    dropped: Sequence[int],
    ignore: int,
    background_known: bool = True,
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
        background_known: False where an organ lies somewhere in what passes for background: all of that is in doubt.

    Returns:
        [Z, Y, X], uint8 where it suffices, else uint16.
    """
    doubtful = claims.of(dropped, labels.shape) | np.isin(labels, dropped) | (agreement < _LEAST_AGREEMENT)
    if not background_known:
        doubtful |= labels == 0
    return np.where(doubtful, ignore, labels).astype(np.uint8 if ignore < 256 else np.uint16)


def lay_out(
    result: PseudoLabels,
    *,
    source: str,
    target: str,
    thresholds: Thresholds,
    incomplete: str = "ignore",
    with_labelled: bool = True,
    copy: bool = False,
    overwrite: bool = False,
) -> PseudoDataset:
    """Write nnUNet_raw/DatasetYYY_Name: pseudo-labelled and labelled cases, for stock planning and training.

    Images are symbolic links where the file system has them. The new dataset's folds validate on the same labelled
    cases as the source's, or as nnU-Net would draw them, and all train on every pseudo-labelled case; see
    `write_splits`.

    Args:
        result: of `pseudo_label`.
        source: name of the dataset the labelled cases come from.
        target: number or name of the new one.
        thresholds: organs below them are dropped; those that it requires make a case incomplete where they are missing.
        incomplete: what becomes of such a case, in whose background that organ lies: "ignore" gives its background the
            ignore label, so that only the organs that were found are learnt from it; "leave-out" leaves the case out;
            "keep" teaches that the organ is not there. A case of which nothing is left to learn is left out, too.
        with_labelled: add the source's own cases.
        copy: copy images instead of linking them.
        overwrite: see `check_target`.

    Raises:
        UserError: if the target belongs to another dataset or was changed by hand, a case's name occurs twice, labels
            are regions, or there is no pseudo-labelled case, or nothing that would teach the background.
    """
    raw = nnunet_folder("nnUNet_raw")
    dataset_json = read_dataset_json(raw / source / "dataset.json", needs=OF_SCANS_AND_LABELS)
    labels = _labels_with_ignore(dataset_json)
    labelled = cases_to_keep(raw / source, dataset_json, result.scans) if with_labelled else {}
    lacking = _incomplete_cases(result, thresholds)
    _check_cases(result, lacking, incomplete, with_labelled=bool(labelled))
    folder = claim_folder(raw, dataset_name(target, source), overwrite=overwrite)
    masking = _Masking(labels["ignore"], thresholds, incomplete)
    written = _write_pseudo_labels(result, folder, masking)
    scans = {case: result.scans[case] for case in written}
    place_images(scans, labelled, folder, file_ending=result.output.file_ending, copy=copy)
    write_dataset_json(folder, dataset_json, labels=labels, cases=len(labelled) + len(written))
    if labelled:
        write_splits(source, folder.name, sorted(labelled), sorted(written))
    left_out = tuple(case for case in result.qualities if case not in written)
    ignored, voxels = (sum(counts) for counts in zip(*written.values(), strict=True))
    return PseudoDataset(folder, len(written), len(labelled), lacking, left_out, ignored / voxels)


def _labels_with_ignore(dataset_json: Mapping) -> dict[str, int]:
    """The dataset's labels and the ignore label, which nnU-Net wants to be the highest."""
    organs = plain_organs(dataset_json)
    return {"background": 0, **organs, "ignore": max(organs.values()) + 1}


def _incomplete_cases(result: PseudoLabels, thresholds: Thresholds) -> tuple[str, ...]:
    """Cases in which a required organ is missing."""
    return tuple(
        case for case, rows in result.qualities.items() if any(thresholds.judge(row)[0] == MISSING for row in rows)
    )


def _check_cases(result: PseudoLabels, lacking: Sequence[str], incomplete: str, *, with_labelled: bool) -> None:
    if not result.qualities:
        raise UserError("There is no pseudo-labelled case to lay out; see why above.")
    all_lack = len(lacking) == len(result.qualities)
    if all_lack and (incomplete == "leave-out" or (incomplete == "ignore" and not with_labelled)):
        raise UserError(
            f"In each of the {len(lacking)} cases an organ is missing that every scan should show (quality.csv tells "
            "which), so nothing would teach the background; name fewer organs with --require-organs, or take their "
            "absence at its word with --incomplete keep."
        )


@dataclass(frozen=True)
class _Masking:
    """What decides which voxels of a pseudo-label carry the ignore label; see `lay_out`."""

    ignore: int
    thresholds: Thresholds
    incomplete: str

    def masked(self, case: str, rows: Sequence[OrganQuality], output: OutputFolder) -> sitk.Image | None:
        """The label map of a case; None for one that is left out."""
        words = {row.label: self.thresholds.judge(row)[0] for row in rows}
        complete = MISSING not in words.values()
        if not complete and self.incomplete == "leave-out":
            return None
        image = sitk.ReadImage(str(output.labels(case)))
        masked = masked_labels(
            sitk.GetArrayFromImage(image),
            sitk.GetArrayFromImage(sitk.ReadImage(str(output.agreement(case)))),
            Claims.load(output.claims(case)),
            dropped=[label for label, word in words.items() if word in (DROP, MISSING)],
            ignore=self.ignore,
            background_known=complete or self.incomplete == "keep",
        )
        return None if (masked == self.ignore).all() else image_like(masked, image)


def _write_pseudo_labels(result: PseudoLabels, folder: Path, masking: _Masking) -> dict[str, tuple[int, int]]:
    """Write the label maps; returns the cases written, each with how many voxels are ignored and how many there are."""
    counts = {}
    for case, rows in tqdm(result.qualities.items(), desc="label maps", unit="case"):
        image = masking.masked(case, rows, result.output)
        if image is None:
            continue
        write_whole(image, folder / "labelsTr" / f"{case}{result.output.file_ending}")
        values = sitk.GetArrayViewFromImage(image)
        counts[case] = (int((values == masking.ignore).sum()), values.size)
    if not counts:
        raise UserError("No pseudo-labelled case has anything left to learn from; see quality.csv for the reasons.")
    return counts
