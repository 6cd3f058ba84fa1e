"""What ITK's reader of NRRD files passes over, such as spaces and units that it does not know, or is ended by."""

import re
from math import prod
from pathlib import Path

from nnunetv2_muduo.datasets.plain_numbers import plain_numbers
from nnunetv2_muduo.datasets.voxel_file_names import leads_away

_LONGEST_LINE, _LONGEST_HEADER = 900, 1 << 24  # bytes; the reader ends the process with fields of 1000
_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")
_BYTES = {1: "char uchar int8 uint8", 2: "short ushort int16 uint16", 4: "int uint int32 uint32 float", 8: "double"}
_BYTES_OF = {name: size for size, names in _BYTES.items() for name in names.split()}
_MOST_UNPACKED = {"raw": 1, "gzip": 1100, "gz": 1100}  # bytes that a byte of a file may become


def nrrd_problem(file: Path) -> str | None:
    """Why a .nrrd or .nhdr file cannot be read as it is, in words; None where it can, or is of another format."""
    if file.suffix not in (".nrrd", ".nhdr"):
        return None
    fields: dict[str, str] = {}
    with file.open("rb") as stream:
        while (line := stream.readline(_LONGEST_HEADER)).strip():
            if stream.tell() >= _LONGEST_HEADER:
                return "its header does not end"
            text = line.decode("latin-1").strip()
            name, colon, value = text.partition(":")
            if text.startswith("#") or value.startswith("=") or name == "content":
                continue
            if len(text) > _LONGEST_LINE:
                return f"a line of its header has {len(text)} letters"
            if colon:
                fields[name.strip().lower()] = value.strip()
    return _problem_of_place(fields) or _problem_of_voxels(file, fields)


def _problem_of_place(fields: dict[str, str]) -> str | None:
    if "space" in fields and fields["space"].lower() not in _SPACES:
        return f"its space is {fields['space'][:60]}, which says nothing about how the patient lies"
    if "space" in fields:
        axes = [axis for axis in _vectors(fields.get("space directions", "")) if axis != "none"]
        if len(axes) != 3 or None in axes:
            return f"its space directions are no three vectors ({fields.get('space directions', '')[:60]})"
    origin = _vectors(fields.get("space origin", "(0,0,0)"))
    if len(origin) != 1 or origin[0] in (None, "none"):
        return f"its space origin is no place ({fields['space origin'][:60]})"
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    if any(unit not in ("mm", "") for unit in units):
        return f"its space units are {' '.join(units)[:60]}, not mm"
    return None


def _problem_of_voxels(file: Path, fields: dict[str, str]) -> str | None:
    elsewhere = fields.get("data file", fields.get("datafile"))
    if file.suffix == ".nrrd" and elsewhere is not None:
        return f"its voxels are in another file ({elsewhere[:60]}), which only .nhdr files may say"
    if elsewhere is not None and leads_away(elsewhere):
        return f"its voxels are not in its folder ({elsewhere[:60]})"
    skip = plain_numbers(fields.get("byte skip", fields.get("byteskip", "0")), 1)
    if skip is None or skip[0] < -1:
        return f"its byte skip is {fields.get('byte skip', '')[:60]}"
    axes = plain_numbers(fields.get("dimension", ""), 1)
    sizes = None if axes is None else plain_numbers(fields.get("sizes", ""), int(axes[0]))
    size, most = _BYTES_OF.get(fields.get("type", "")), _MOST_UNPACKED.get(fields.get("encoding", ""))
    if sizes and size and most and elsewhere is None and prod(sizes) * size > most * file.stat().st_size:
        return f"it promises {prod(sizes) * size:g} bytes of voxels, which it cannot hold"
    return None


def _vectors(text: str) -> list[tuple[float, ...] | str | None]:
    """Vectors of three numbers, "none", and None for what is neither."""
    return [
        part if part == "none" else plain_numbers(part.strip("()"), 3, separator=",")
        for part in re.findall(r"\([^()]*\)|[^\s()]+", text)
    ]
