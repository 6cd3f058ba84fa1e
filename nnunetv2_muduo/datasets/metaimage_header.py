"""What ITK's reader of MetaImage files (MHA, MHD) passes over: numbers that are none, entries that are there twice,
compressed voxels that are damaged, for which it delivers whatever the memory held.
"""

import re
import zlib
from collections.abc import Sequence
from math import prod
from pathlib import Path

from nnunetv2_muduo.datasets.plain_numbers import plain_numbers
from nnunetv2_muduo.datasets.voxel_file_names import leads_away

_HEADER_IN_BYTES, _CHUNK_IN_BYTES, _MOST_AXES = 1 << 16, 1 << 20, 10
_ENTRY = re.compile(rb"[ \t]*(\w+)\s*[=:]\s*(.*?)\s*")
_SYNONYMS = {"Origin": "Offset", "Position": "Offset", "Orientation": "TransformMatrix", "Rotation": "TransformMatrix"}
_SYNONYMS |= {"ElementByteOrderMSB": "BinaryDataByteOrderMSB"}
_FLAGS = ("BinaryData", "BinaryDataByteOrderMSB", "CompressedData")
_SINGLE = (
    *_FLAGS,
    "NDims",
    "Offset",
    "TransformMatrix",
    "ElementSpacing",
    "DimSize",
    "ElementType",
    "CompressedDataSize",
)
_FIXED = {  # entries that ITK ignores, and what they may say
    "DistanceUnits": ("mm", "?"),
    "ElementToIntensityFunctionSlope": ("1",),
    "ElementToIntensityFunctionOffset": ("0",),
    "HeaderSize": ("0", "-1"),
}
_BYTES = {"CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "FLOAT": 4, "DOUBLE": 8}
_BYTES |= {"LONG_LONG": 8, "ULONG_LONG": 8}


def metaimage_problem(file: Path, *, unpack: bool = True) -> str | None:
    """Why a .mha or .mhd file cannot be read as it is, in words; None where it can, or is of another format.

    Args:
        file: of any format.
        unpack: look whether compressed voxels are whole, which takes as long as reading them.
    """
    if file.suffix not in (".mha", ".mhd"):
        return None
    with file.open("rb") as stream:
        begin = stream.read(_HEADER_IN_BYTES)
    entries: dict[str, str] = {}
    place = 0
    for line in begin.splitlines(keepends=True):
        place += len(line)
        if found := _ENTRY.fullmatch(line):
            name, value = (part.decode("latin-1") for part in found.groups())
            name = _SYNONYMS.get(name, name)
            if name in _SINGLE and name in entries:
                return f"its header says twice what {name} is"
            entries[name] = value
        if "ElementDataFile" in entries:
            return _problem(file, entries, place, unpack=unpack)
    return "its header does not say where its voxels are (ElementDataFile)"


def _problem(file: Path, entries: dict[str, str], place: int, *, unpack: bool) -> str | None:
    return _problem_of_numbers(file, entries) or _problem_of_voxels(file, entries, place, unpack=unpack)


def _problem_of_numbers(file: Path, entries: dict[str, str]) -> str | None:
    axes = plain_numbers(entries.get("NDims", ""), 1)
    if axes is None or axes[0] not in range(1, _MOST_AXES + 1):
        return f"it claims {entries.get('NDims', 'no number of')} axes"  # ITK's reader ends the process with some
    number = int(axes[0])
    for name, length in {"Offset": number, "TransformMatrix": number**2, "ElementSpacing": number}.items():
        if name in entries and plain_numbers(entries[name], length) is None:
            return f"{name} does not hold {length} numbers ({entries[name][:60]})"
    if any(step <= 0 for step in plain_numbers(entries.get("ElementSpacing", ""), number) or ()):
        return f"its voxels measure {entries['ElementSpacing'][:60]}"
    if wrong := [name for name in _FLAGS if entries.get(name, "True").lower() not in ("true", "false", "1", "0")]:
        return f"{wrong[0]} is neither True nor False ({entries[wrong[0]][:60]})"
    for name, allowed in _FIXED.items():
        said = entries.get(name, allowed[0])
        if not _is_among(said, allowed) and not (name == "HeaderSize" and file.suffix == ".mhd"):
            return f"{name} is {said[:60]}, which is not heeded"
    return None


def _is_among(said: str, allowed: Sequence[str]) -> bool:
    """Whether an entry says one of these, however its number is written."""
    number = plain_numbers(said, 1)
    return said in allowed or (number is not None and number in [plain_numbers(word, 1) for word in allowed])


def _problem_of_voxels(file: Path, entries: dict[str, str], place: int, *, unpack: bool) -> str | None:
    elsewhere = entries["ElementDataFile"]
    is_local = elsewhere.lower() == "local"
    if file.suffix == ".mha" and not is_local:
        return f"its voxels are in another file ({elsewhere[:60]}), which only .mhd files may say"
    if not is_local and leads_away(elsewhere):
        return f"its voxels are not in its folder ({elsewhere[:60]})"
    voxels = file if is_local else file.parent / elsewhere
    sizes = plain_numbers(entries.get("DimSize", ""), int(entries["NDims"]))
    size_in_bytes = _BYTES.get(entries.get("ElementType", "").removeprefix("MET_"))
    channels = plain_numbers(entries.get("ElementNumberOfChannels", "1"), 1)
    if not (sizes and size_in_bytes and channels and voxels.is_file()):
        return None  # ITK complains
    promised = prod(sizes) * size_in_bytes * channels[0]
    if entries.get("CompressedData", "False").lower() in ("true", "1"):
        return None if not unpack else _problem_of_compressed(voxels, entries, place if is_local else 0, promised)
    if is_local and (given := file.stat().st_size - place) != promised:
        return f"it holds {given} bytes of voxels, and {promised:.0f} were promised"
    return None


def _problem_of_compressed(file: Path, entries: dict[str, str], place: int, promised: float) -> str | None:
    """Whether as much can be decompressed as the header promises; ITK does not look."""
    size = entries.get("CompressedDataSize", "")
    if not re.fullmatch(r"\d{1,18}", size):
        return "its voxels are compressed, and CompressedDataSize is no number"
    unpacked, left = zlib.decompressobj(wbits=47), int(size)  # zlib or gzip
    length = 0
    with file.open("rb") as stream:
        stream.seek(place)
        while left and length <= promised and not unpacked.eof and (chunk := stream.read(min(_CHUNK_IN_BYTES, left))):
            left -= len(chunk)
            try:
                while chunk and length <= promised:
                    length += len(unpacked.decompress(chunk, _CHUNK_IN_BYTES))
                    chunk = unpacked.unconsumed_tail
            except zlib.error:
                return "its compressed voxels are damaged"
    whole = unpacked.eof and length == promised
    return None if whole else f"its compressed voxels are {length} bytes or more, and {promised:.0f} were promised"
