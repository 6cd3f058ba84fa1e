"""Which scans can be used, and with their labels, as far as names and headers tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from nnunetv2_muduo.autopet.case import MODALITIES
from nnunetv2_muduo.autopet.headers import UnreadableError, compare_headers
from nnunetv2_muduo.autopet.scans import Scan
from nnunetv2_muduo.autopet.target import TARGETS
from nnunetv2_muduo.errors import UserError


@dataclass
class Looked:
    """What came of looking at all scans.

    A file that cannot be read changes nothing of who is drawn: its case stands in its place until it is repaired, so
    that no other moves up and has to move back.

    Attributes:
        in_draw: the scans that sets are drawn of.
        with_labels: names of those with the label maps that the target needs.
        plain: (name, with its labels?) -> whether the headers call for no change, where they could be read.
        unusable: name -> why it is out of the draw.
        only_unlabelled: name -> why its labels are of no use.
        unreadable, unreadable_labels: name -> which of its files cannot be read, and what to do.
    """

    in_draw: list[Scan] = field(default_factory=list)
    with_labels: set[str] = field(default_factory=set)
    plain: dict[tuple[str, bool], bool] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    only_unlabelled: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    unreadable_labels: dict[str, str] = field(default_factory=dict)

    def problem(self, name: str, *, labelled: bool) -> str | None:
        """Why a scan that was drawn cannot be made, as far as is known; None where it can."""
        of_labels = self.unreadable_labels.get(name) if labelled else None
        return self.unreadable.get(name, of_labels)


def look_at_headers(scans: Sequence[Scan], maps: Mapping[str, Path], *, target: str, resample: bool) -> Looked:
    """Read all headers.

    Args:
        scans: to look at.
        maps: scan's name -> organ map.
        target: one of `TARGETS`.
        resample: whether other grids than the PET's are brought onto it.
    """
    looked = Looked()
    for scan in tqdm(scans, desc="reading headers", unit="case"):
        _look_at(scan, label_files(scan, maps, target), looked, resample=resample)
    return looked


def label_files(scan: Scan, maps: Mapping[str, Path], target: str) -> dict[str, Path] | None:
    """The label maps that the target needs; None where one is missing."""
    there = {"organs": maps.get(scan.name), "lesions": scan.lesions}
    files = {role: path for role in TARGETS[target] if (path := there[role]) is not None}
    return files if len(files) == len(TARGETS[target]) else None


def _look_at(scan: Scan, labels: dict[str, Path] | None, looked: Looked, *, resample: bool) -> None:
    images = {"CT": scan.ct, "PET": scan.pet}
    try:
        looked.plain[scan.name, False] = _is_plain(images, resample=resample)
    except UnreadableError as error:
        looked.unreadable[scan.name] = str(error)
    except UserError as error:
        looked.unusable[scan.name] = str(error)
        return
    looked.in_draw.append(scan)
    if labels is None:
        return
    try:
        if scan.name not in looked.unreadable:
            looked.plain[scan.name, True] = _is_plain(images | labels, resample=resample)
    except UnreadableError as error:
        looked.unreadable_labels[scan.name] = str(error)
    except UserError as error:
        looked.only_unlabelled[scan.name] = str(error)
        return
    looked.with_labels.add(scan.name)


def _is_plain(files: Mapping[str, Path], *, resample: bool) -> bool:
    compared = compare_headers(files)
    if compared.differences and not resample:
        role, differing = next(iter(compared.differences.items()))
        what = role if role in MODALITIES else f"label map of {role}"
        raise UserError(f"{what} and PET lie on different grids ({differing}); --resample brings them together")
    return compared.are_plain
