"""Scans of one dataset that are stored in several ways: nnU-Net's usual readers leave each as it is."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from nnunetv2_muduo.datasets.orientation import AXIAL, orientation_of
from nnunetv2_muduo.datasets.scan_header import header_grid
from nnunetv2_muduo.datasets.scan_io import FORMATS

FOLDERS = ("imagesTr", "imagesUn", "imagesTs")
REMEDY = (
    'add "overwrite_image_reader_writer": "SimpleITKIOWithReorient" to dataset.json, with which nnU-Net turns all '
    "scans alike (and masks back), then plan and preprocess anew"
)
_ALONG = {"L": "x", "R": "x", "A": "y", "P": "y", "I": "z", "S": "z"}


def stored_orientations(dataset: Path, file_ending: str, *, reader: str = "") -> dict[str, str]:
    """Which way x, y and z of each scan's first channel grow, by folder and file; of headers that can be read.

    Args:
        dataset: folder in nnUNet_raw, searched for `FOLDERS`.
        file_ending: of its files; of formats that SimpleITK does not know nothing is told.
        reader: tell it of what nnU-Net's reader of this name delivers; "": as they are stored.
    """
    stored: dict[str, str] = {}
    if file_ending not in FORMATS:
        return stored
    for folder in FOLDERS:
        for file in sorted((dataset / folder).glob(f"[!.]*_0000{file_ending}")):
            if (grid := header_grid(file, reader=reader)) is None:  # whoever reads its voxels tells why
                continue
            if (orientation := orientation_of({"sitk_stuff": {"direction": grid.direction}})) is not None:
                stored[f"{folder}/{file.name}"] = orientation
    return stored


def lie_differently(orientations: Iterable[str | None], *, mirrored: bool) -> bool:
    """Whether a network that sees scans as they are stored sees patients in ways that it does not learn.

    Args:
        orientations: of the scans; None, which nobody knows, does not count.
        mirrored: whether patches are mirrored at random along all axes and no label has a side, so that mirror images
            are alike; then the order of the axes alone makes a difference.
    """
    known = {orientation for orientation in orientations if orientation is not None}
    return len({tuple(map(_ALONG.get, orientation)) for orientation in known} if mirrored else known) > 1


def lie_in_axial_slices(orientations: Iterable[str | None]) -> bool:
    """Whether all scans are stored in axial slices, mirrored or not; None, which nobody knows, does not count."""
    return not lie_differently([*orientations, AXIAL], mirrored=True)


def told_lying_differently(stored: Mapping[str, str | None], *, mirrored: bool) -> str:
    """What to tell of a training whose scans lie in several ways that make a difference; "" where none do.

    Args:
        stored: which way x, y and z of each scan grow; None, which nobody knows, does not count.
        mirrored: as in `lie_differently`.
    """
    if not lie_differently(stored.values(), mirrored=mirrored):
        return ""
    told = f"Scans are stored in several ways, and the network sees them so ({told_orientations(stored)})"
    return f"{told}; {REMEDY}."


def told_orientations(stored: Mapping[str, str | None]) -> str:
    """How many scans are stored in which way, the most usual first, as a phrase with an example of each other."""
    counts = Counter(orientation for orientation in stored.values() if orientation is not None)
    (usual, most), *others = counts.most_common()
    first = {orientation: scan for scan, orientation in reversed([*stored.items()])}
    rest = [f"{number} as {orientation}, such as {first[orientation]}" for orientation, number in others]
    return "; ".join([f"{most} as {usual}", *rest])
