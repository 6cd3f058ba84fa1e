"""The labelled cases of an nnU-Net dataset, read one channel at a time and turned as a teacher expects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from nnunetv2_muduo.cases.training_files import training_files
from nnunetv2_muduo.datasets.scan_io import check_same_grid, read_intensities, read_label_map
from nnunetv2_muduo.datasets.turning import Turn
from nnunetv2_muduo.errors import UserError, listed
from nnunetv2_muduo.files import file_stamp
from nnunetv2_muduo.nnunet_files import single_label


@dataclass(frozen=True)
class DatasetCase:
    """One labelled case: its channels in their order, and its label map."""

    name: str
    images: tuple[Path, ...]
    label: Path

    def stamp(self, channel: int) -> list:
        """What tells in no time whether one channel and the label map are still the same; files may be missing."""
        return [file_stamp(file) for file in (*self.images[channel : channel + 1], self.label) if file.is_file()]


def find_cases(folder: Path, dataset_json: Mapping, *, split: str) -> dict[str, DatasetCase]:
    """The cases of a dataset that have a label map, by name.

    Args:
        folder: `nnUNet_raw/DatasetXXX_NAME`.
        dataset_json: its description; a list of files (`dataset`) stands for imagesTr and labelsTr, as in nnU-Net.
        split: "Tr" or "Ts".

    Raises:
        UserError: if there is none.
    """
    are_listed = split == "Tr" and "dataset" in dataset_json
    found = training_files(folder, dataset_json, split=split)
    cases = {name: DatasetCase(name, *files) for name, files in found.items() if are_listed or files.label.is_file()}
    if not cases:
        raise UserError(
            f"{folder} has no labelled case in images{split} and labels{split}; add the label maps, or choose "
            f"--split {'Ts' if split == 'Tr' else 'Tr'}."
        )
    return cases


def choose(wanted: Sequence[str] | None, known: Mapping, *, what: str) -> list[str]:
    """Those that are wanted, once each and in the order of `known`; None: all.

    Raises:
        UserError: listing the known ones.
    """
    unknown = sorted(set(wanted or ()) - set(known))
    if unknown:
        raise UserError(f"There is no {what} {', '.join(unknown)}; there are: {listed(known, most=10)}.")
    return [name for name in known if wanted is None or name in wanted]


def organ_values(dataset_json: Mapping) -> tuple[dict[str, int], int | None]:
    """Name -> integer of each label but the background, and the integer that means "ignore", where there is one.

    Raises:
        UserError: for labels that are regions.
    """
    values: dict[str, int] = {}
    for name, given in dataset_json["labels"].items():
        if (value := single_label(given)) is None:
            raise UserError(
                f"Label '{name}' is a region made of the labels {', '.join(map(str, given))}; clicks are measured on "
                "datasets that give every label of dataset.json one integer."
            )
        values[name] = value
    ignore = values.pop("ignore", None)
    return {name: value for name, value in values.items() if value != 0}, ignore


def read_labels(case: DatasetCase) -> sitk.Image:
    """A label map as it lies on the disk.

    Raises:
        UserError: naming the file, where it cannot be read or holds anything but whole numbers.
    """
    return read_label_map(case.label)


def read_channel(
    case: DatasetCase, channel: int, orientation: str, *, labels: sitk.Image
) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """One channel of a case.

    Args:
        case: to be read.
        channel: number of the channel.
        orientation: letters of x, y, z.
        labels: the case's label map, on whose grid the channel must lie.

    Returns:
        Intensities as stored (HU or SUV), [Z, Y, X], axes growing as `orientation` has it; spacing (z, y, x) in mm.

    Raises:
        UserError: if the file is missing, cannot be read, holds NaN, or lies on another grid than the label map.
    """
    if channel >= len(case.images):
        raise UserError(f"Case {case.name} has no file of channel {channel:04d} beside {case.images[0]}.")
    file = case.images[channel]
    image = read_intensities(file)
    check_same_grid(image, labels, names=(file, case.label))
    turn = Turn.of(image.GetDirection(), orientation)
    array = turn.there(sitk.GetArrayFromImage(image)).astype(np.float32, copy=False)
    return array, turn.spacing(image.GetSpacing()[::-1])
