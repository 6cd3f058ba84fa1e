"""Training cases whose files dataset.json lists one by one (`dataset`), nnU-Net's other way of naming them."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets


class ListedFiles(NamedTuple):
    """Files of a training case, wherever they lie and whatever they are called; any may be missing.

    Attributes:
        images: one for each channel.
        label: the label map.
    """

    images: tuple[Path, ...]
    label: Path


def listed_files(raw_folder: Path, dataset_json: Mapping) -> dict[str, ListedFiles] | None:
    """Case -> its files, in the order of names; None where dataset.json lists none and imagesTr and labelsTr count.

    Args:
        raw_folder: of the dataset, from which paths that are not absolute lead; $NAMES in them are expanded.
        dataset_json: its description.
    """
    if "dataset" not in dataset_json:
        return None
    found = get_filenames_of_train_images_and_targets(str(raw_folder), deepcopy(dict(dataset_json)))  # writes into it
    return {
        str(case): ListedFiles(tuple(map(Path, files["images"])), Path(files["label"]))
        for case, files in sorted(found.items())
    }
