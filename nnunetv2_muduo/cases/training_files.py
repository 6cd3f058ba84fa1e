"""The files of training cases: in imagesTr and labelsTr, or as dataset.json lists them one by one (`dataset`).

nnU-Net is imported by the functions that need it: `muduo doctor` tells what is wrong with it.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple


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
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    found = get_filenames_of_train_images_and_targets(str(raw_folder), deepcopy(dict(dataset_json)))  # writes into it
    return {
        str(case): ListedFiles(tuple(map(Path, files["images"])), Path(files["label"]))
        for case, files in sorted(found.items())
    }


def training_files(raw_folder: Path, dataset_json: Mapping, *, split: str = "Tr") -> dict[str, ListedFiles]:
    """Case -> its files, in the order of names, be they listed or not; a label map need not be there.

    Args:
        raw_folder: of the dataset.
        dataset_json: its description.
        split: "Tr", or "Ts" for the cases of imagesTs and labelsTs, which are never listed.
    """
    if split == "Tr" and (listed := listed_files(raw_folder, dataset_json)) is not None:
        return listed
    from nnunetv2_muduo.cases.scan_checks import find_scans

    images, labels, ending = raw_folder / f"images{split}", raw_folder / f"labels{split}", dataset_json["file_ending"]
    scans = find_scans(images, ending)[0] if images.is_dir() else {}
    return {case: ListedFiles(files, labels / f"{case}{ending}") for case, files in sorted(scans.items())}
