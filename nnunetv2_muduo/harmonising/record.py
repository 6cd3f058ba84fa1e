"""What was made from what, case by case: it tells a restart what is finished, and leads masks back to their scans."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunetv2_muduo.datasets.image_stamp import image_stamp
from nnunetv2_muduo.datasets.nifti_checks import is_whole_image
from nnunetv2_muduo.datasets.scan_grid import ScanGrid
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import clear_away_left_behind, write_text
from nnunetv2_muduo.harmonising.case_finding import FoundCase
from nnunetv2_muduo.harmonising.images import Box
from nnunetv2_muduo.json_files import read_table, table_or_nothing

FORMAT = 2  # raise it when the same sources and options give another result, so that everything is done anew
RECORD_FILE = "harmonised.json"
RECORDS = "harmonised"  # folder of the records of single cases
_IMAGES = ("imagesTr", "imagesUn")


@dataclass(frozen=True)
class CaseRecord:
    """A finished case.

    Attributes:
        patient: name of the outermost folder, with the centre in front: scans of one patient share it.
        made_from: sources with their stamps, and options; see `made_from`.
        files: images first, then the label map; relative to the dataset's folder, with slashes.
        own_grid, full_grid, box: see `Harmonised`.
        suv_factor: what the PET was multiplied by; None: it was taken for SUV.
        notes: what was told about it.
    """

    patient: str
    made_from: dict[str, Any]
    files: tuple[str, ...]
    own_grid: ScanGrid
    full_grid: ScanGrid
    box: Box | None
    suv_factor: float | None
    notes: tuple[str, ...]

    @property
    def grid(self) -> ScanGrid:
        """Of the harmonised images."""
        return self.full_grid if self.box is None else self.full_grid.part(self.box.start, self.box.size)

    def to_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "CaseRecord":
        """What `to_dict` gave, also from JSON.

        Raises:
            KeyError, TypeError, ValueError: for anything else.
        """
        record = cls(
            patient=_text(values["patient"]),
            made_from=dict(values["made_from"]),
            files=tuple(map(_text, values["files"])),
            own_grid=ScanGrid.from_dict(values["own_grid"]),
            full_grid=ScanGrid.from_dict(values["full_grid"]),
            box=None if values["box"] is None else _box(values["box"]),
            suv_factor=values["suv_factor"],
            notes=tuple(map(_text, values["notes"])),
        )
        if record.box is not None and any(
            start + size > whole
            for start, size, whole in zip(record.box.start, record.box.size, record.full_grid.size, strict=True)
        ):
            raise ValueError("its box is larger than its grid")
        return record


def made_from(case: FoundCase, **options: Any) -> dict[str, Any]:
    """What a case depends on: its folder, each source with its stamp, and the options; as JSON has it."""
    sources = {role: [str(path.relative_to(case.folder)), _stamp(path)] for role, path in case.sources.items()}
    content = {"format": FORMAT, "folder": str(case.folder.resolve()), "sources": sources, **options}
    return json.loads(json.dumps(content))


def have_same_scans(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether CT and PET of two `made_from` have the same names and sizes, as moved files do."""
    return all(first["sources"][role][1][:2] == second["sources"][role][1][:2] for role in ("CT", "PET"))


def is_finished(dataset: Path, record: CaseRecord | None, wanted: Mapping[str, Any]) -> bool:
    """Whether a case is there, whole, made from just this."""
    return (
        record is not None
        and record.made_from == dict(wanted)
        and all(is_whole_image(dataset / file) for file in record.files)
    )


def record_file(dataset: Path, case: str) -> Path:
    """Where a case's record is."""
    return dataset / RECORDS / f"{case}.json"


def read_record(dataset: Path, case: str) -> CaseRecord | None:
    """A finished case's record; None where there is none or it is not readable."""
    try:
        record = CaseRecord.from_dict(table_or_nothing(record_file(dataset, case)))
        _check_sources(record.made_from)
        return record
    except (ValueError, KeyError, TypeError):
        return None


def records_of_cases(dataset: Path) -> dict[str, CaseRecord]:
    """Case -> its record, of all finished cases of a dataset."""
    names = sorted(path.name.removesuffix(".json") for path in (dataset / RECORDS).glob("[!.]*.json"))
    return {name: record for name in names if (record := read_record(dataset, name)) is not None}


def gather_records(dataset: Path) -> dict[str, CaseRecord]:
    """Write the dataset's record, all finished cases in one file, and return them."""
    clear_away_left_behind(dataset / RECORDS)
    records = records_of_cases(dataset)
    content = {
        "format": FORMAT,
        "axes": "x, y, z in voxels or LPS millimetres, as SimpleITK has them",
        "cases": {case: record.to_dict() for case, record in records.items()},
    }
    write_text(dataset / RECORD_FILE, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    return records


def read_records(path: Path) -> dict[str, CaseRecord]:
    """A dataset's record.

    Raises:
        UserError: if it is missing or no such record.
    """
    content = read_table(path)
    try:
        return {case: CaseRecord.from_dict(values) for case, values in content["cases"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is no {RECORD_FILE} of `muduo harmonise`; give that file.") from error


def is_body_cropped(dataset: Path) -> bool | None:
    """Whether all scans of a raw dataset were cropped to the body; None where no record tells, or not of all."""
    path = dataset / RECORD_FILE
    try:
        records = read_records(path) if path.is_file() else {}
    except UserError:
        return None
    if any(record.box is None for record in records.values()):
        return False
    recorded = {Path(file).name for record in records.values() for file in record.files}
    there = {file.name for folder in _IMAGES for file in (dataset / folder).glob("[!.]*_0000.*")}
    return True if records and there <= recorded else None


def _stamp(path: Path) -> list:
    """Of an image, or of all files of a folder together."""
    if path.is_file():
        return image_stamp(path)
    files = [file.stat() for file in path.iterdir() if file.is_file()]
    latest = max((status.st_mtime_ns for status in files), default=0)
    return [path.name, sum(status.st_size for status in files), latest, len(files)]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _check_sources(told: Mapping[str, Any]) -> None:
    """Raise KeyError, TypeError or ValueError unless `made_from` has the entries that are read of it."""
    _text(told["folder"])
    dict(told["options"])
    for role in ("CT", "PET"):
        name, stamp = told["sources"][role]
        _text(name)
        list(stamp)


def _box(values: Mapping[str, Any]) -> Box:
    start, size = (tuple(values[key]) for key in ("start", "size"))
    if not (len(start) == len(size) == 3 and all(type(n) is int for n in start + size)):
        raise TypeError(f"{values} is no box")
    if min(start) < 0 or min(size) < 1:
        raise ValueError(f"{values} lies outside of any grid")
    return Box(start, size)
