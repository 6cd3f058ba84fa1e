"""The nnU-Net dataset that cases are put into: a new one, or one with CT and PET that is there already."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_muduo.datasets.scan_io import check_ending
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import write_text
from nnunetv2_muduo.harmonising.case import LABELLED
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.nnunet_files import check_dataset_json, read_dataset_json
from nnunetv2_muduo.nnunet_folders import find_dataset, nnunet_folder

_NAME = re.compile(r"Dataset[0-9]{3}_[^/\\]+")
_CHANNELS = {"0": "CT", "1": "PET"}


@dataclass(frozen=True)
class Dataset:
    """A dataset in nnUNet_raw.

    Attributes:
        folder: of the dataset.
        content: of its dataset.json.
        wanted_labels: name -> value, as `open_dataset` was given them; None: those that are there.
    """

    folder: Path
    content: dict
    wanted_labels: Mapping[str, int] | None = None

    @property
    def ending(self) -> str:
        """Of its files, such as ".nii.gz"."""
        return self.content["file_ending"]

    @property
    def label_values(self) -> frozenset[int]:
        """That label maps may hold; those of regions, too."""
        values = self.content["labels"].values()
        return frozenset(int(v) for value in values for v in (value if isinstance(value, list | tuple) else [value]))

    @property
    def has_labels(self) -> bool:
        """Whether it names more than the background."""
        return len(self.label_values) > 1

    def opened_again(self) -> "Dataset":
        """As it is now: another run may have extended it since it was opened.

        Raises:
            UserError: as `open_dataset`.
        """
        return _opened(self.folder, self.wanted_labels)

    def finish(self) -> int:
        """Write dataset.json with the number of labelled cases that are there, of all runs; return it."""
        labelled = _labelled(self.folder, self.content)
        write_text(self.folder / "dataset.json", json.dumps(self.content | {"numTraining": labelled}, indent=2) + "\n")
        return labelled


def open_dataset(name: str, *, labels: Mapping[str, int] | None = None) -> Dataset:
    """A dataset to put cases into; nothing is written yet.

    Args:
        name: such as Dataset230_PETCT, or the number of one that is there.
        labels: name -> value with the background; where there are labelled cases theirs and, if need be, further ones.

    Raises:
        UserError: if the name is none or its number is taken, or what is there does not fit: other channels or labels.
    """
    return _opened(dataset_folder(name), labels)


def dataset_folder(name: str) -> Path:
    """Where a dataset is, or will be: from a name such as Dataset230_PETCT, or the number of one that is there.

    Raises:
        UserError: if the name is none, or its number is taken by another dataset.
    """
    raw = nnunet_folder("nnUNet_raw")
    if not _NAME.fullmatch(name):
        if not name.isdecimal():
            raise UserError(f"'{name}' is no dataset: give a name such as Dataset230_PETCT.")
        try:
            name = find_dataset(name)
        except UserError as error:
            raise UserError(f"{error} To make a new one, give a name such as Dataset{int(name):03d}_PETCT.") from error
    others = [path.name for path in raw.glob(f"{name[:10]}_*") if path.name != name]
    if others:
        raise UserError(f"Dataset number {name[7:10]} is taken by {others[0]}; choose another.")
    return raw / name


def parse_labels(words: Iterable[str]) -> dict[str, int]:
    """ "lesion=1" and so on -> nnU-Net's labels, with the background.

    Raises:
        UserError: unless the values are 1, 2, ..., each with a name of its own.
    """
    labels = {"background": 0}
    for word in words:
        name, separator, value = word.rpartition("=")
        if not separator or not name or not value.isdecimal() or name in labels:
            raise UserError(f"'{word}' is no label; write each as NAME=VALUE, such as lesion=1.")
        labels[name] = int(value)
    return consecutive(labels, "--labels")


def labels_from(path: Path) -> dict[str, int]:
    """The labels of a file like dataset.json.

    Raises:
        UserError: if it holds none.
    """
    labels = read_table(path).get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, int) for value in labels.values()):
        raise UserError(f'{path} has no "labels" like {{"background": 0, "lesion": 1}}.')
    check_dataset_json({"labels": labels}, path)
    return consecutive(labels, path)


def consecutive(labels: dict[str, int], source: Path | str) -> dict[str, int]:
    """The labels of a source, if nnU-Net takes them: background 0 and 1, 2, 3, ... without a gap; else UserError."""
    if sorted(labels.values()) != list(range(len(labels))) or labels.get("background") != 0:
        raise UserError(
            f"{source}: nnU-Net wants the background to be 0 and labels 1, 2, 3, ... without a gap, not {labels}."
        )
    return labels


def _opened(folder: Path, labels: Mapping[str, int] | None) -> Dataset:
    if not (folder / "dataset.json").is_file():
        content: dict = {"channel_names": dict(_CHANNELS), "labels": {"background": 0}, "file_ending": ".nii.gz"}
    else:
        content = read_dataset_json(folder / "dataset.json")
        _check_fits(folder, content)
    if labels is not None:
        if _labelled(folder, content) and not content["labels"].items() <= dict(labels).items():
            raise UserError(
                f"{folder.name} has labelled cases with {content['labels']}, which {dict(labels)} changes; leave "
                "--labels out, or name those labels and further ones."
            )
        content["labels"] = dict(labels)
    return Dataset(folder, content, labels)


def _labelled(folder: Path, content: Mapping) -> int:
    """How many labelled cases are there."""
    return len(list((folder / LABELLED).glob(f"*_0000{content['file_ending']}")))


def _check_fits(folder: Path, content: Mapping) -> None:
    channels = {key: str(name).upper() for key, name in content.get("channel_names", {}).items()}
    if channels != _CHANNELS:
        raise UserError(f"{folder} has the channels {content.get('channel_names')}, not CT and PET; choose another.")
    if "dataset" in content:
        raise UserError(f"{folder / 'dataset.json'} lists its files one by one; cases cannot be added to it.")
    if not isinstance(content.get("labels"), dict) or "file_ending" not in content:
        raise UserError(f"{folder / 'dataset.json'} lacks labels or file_ending; correct it.")
    check_ending(Path(f"scan{content['file_ending']}"))
