"""Predictions and their references from files, on one grid and with known labels."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_muduo.datasets.scan_io import read_label_map
from nnunetv2_muduo.errors import UserError


def find_cases(folder: Path, file_ending: str) -> tuple[str, ...]:
    """Names of all label maps in a folder, sorted.

    Raises:
        UserError: if there is no such folder or none in it.
    """
    if not folder.is_dir():
        raise UserError(f"There is no folder {folder}.")
    files = [path.name for path in folder.iterdir() if path.name.endswith(file_ending) and path.name[0] != "."]
    if not files:
        raise UserError(f"There is no label map *{file_ending} in {folder}; give the folder that holds them.")
    return tuple(sorted(name[: -len(file_ending)] for name in files))


def read_labels(path: Path, *, known: Collection[int]) -> tuple[np.ndarray, sitk.Image]:
    """A label map, [Z, Y, X] of integers, and its image.

    Raises:
        UserError: if it cannot be read, holds anything but whole numbers, or a label that is not known.
    """
    image = read_label_map(path)
    labels = sitk.GetArrayViewFromImage(image)
    unknown = _present(labels, up_to=max(known)) - set(known)
    if unknown:
        shown = ", ".join(map(str, sorted(unknown)))
        raise UserError(
            f"{path} holds label(s) {shown} that dataset.json does not name; give the dataset they belong to."
        )
    return labels if labels.dtype == np.uint8 else labels.astype(np.int32), image


def _present(labels: np.ndarray, *, up_to: int) -> set[int]:
    """The labels of a map; of those beyond the largest that may be, the largest alone."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > up_to:
        return {low, high}
    planes = (plane.ravel().astype(np.intp) for plane in labels)  # a copy of one plane at a time
    counts = sum(np.bincount(plane, minlength=high + 1) for plane in planes)
    return set(np.flatnonzero(counts).tolist())
