"""Every MHA or NRRD file that differs from a valid one in one line of its header, and some with other voxels."""

import zlib
from collections.abc import Iterator

import numpy as np

VOXELS = np.arange(120, dtype="<i2").reshape(4, 5, 6)
MHA = (
    "ObjectType = Image",
    "NDims = 3",
    "BinaryData = True",
    "BinaryDataByteOrderMSB = False",
    "CompressedData = False",
    "TransformMatrix = 1 0 0 0 0 1 0 -1 0",
    "Offset = -10 20 -30",
    "ElementSpacing = 2 3 4",
    "DimSize = 6 5 4",
    "ElementType = MET_SHORT",
    "ElementDataFile = LOCAL",
)
NRRD = (
    "NRRD0004",
    "type: short",
    "dimension: 3",
    "space: left-posterior-superior",
    "sizes: 6 5 4",
    "space directions: (2,0,0) (0,0,-3) (0,4,0)",
    "kinds: domain domain domain",
    "endian: little",
    "encoding: raw",
    "space origin: (-10,20,-30)",
)
_WORDS = ("", "text", "True", "MET_UCHAR", "MET_OTHER", "gzip", "../other.raw", "/etc/passwd", "none", "x" * 5000)
_NUMBERS = ("0", "-1", "7", "nan", "inf", "1e30", "9" * 40, "1,5", "0x10", "1e400", "")
_MORE_MHA = ("HeaderSize = 100", "DistanceUnits = um", "ElementToIntensityFunctionSlope = 2", "Origin = 1 2 3")
_MORE_NRRD = ('space units: "m" "m" "m"', "byte skip: -100", "data file: other.raw", "data file: /etc/passwd")


def mutated_headers(ending: str) -> Iterator[tuple[str, bytes]]:
    """(what was done, the file): line by line of a file with one of the endings ".mha" and ".nrrd"."""
    lines, separator, more = (MHA, " = ", _MORE_MHA) if ending == ".mha" else (NRRD, ": ", _MORE_NRRD)
    for number, line in enumerate(lines):
        key, found, value = line.partition(separator)
        rest = [*value.split(" ")]
        changed = [*_WORDS, " ".join(rest[:-1]), " ".join(rest * 2)] if found else ["", "text"]
        for at, part in enumerate(rest):
            for other in _NUMBERS:
                changed.append(" ".join([*rest[:at], other, *rest[at + 1 :]]))
                if part.startswith("("):
                    axes = part.strip("()").split(",")
                    changed.append(" ".join([*rest[:at], f"({','.join([other, *axes[1:]])})", *rest[at + 1 :]]))
        for text in changed:
            yield f"{key}{separator}{text[:40]}", whole([*lines[:number], f"{key}{found}{text}", *lines[number + 1 :]])
        yield f"without {key}", whole([*lines[:number], *lines[number + 1 :]])
        yield f"{key} twice", whole([*lines[: number + 1], f"{key}{separator}1", *lines[number + 1 :]])
    for line in more:
        yield f"also {line}", whole([*lines[:-1], line, lines[-1]])
    for length in (0, 1, 100, 239):
        yield f"{length} bytes of voxels", whole(lines, VOXELS.tobytes()[:length])
    yield "sizes of thousands", whole(lines).replace(b"6 5 4", b"4000 4000 400")
    packed = zlib.compress(VOXELS.tobytes())
    for what, voxels in {
        "whole": packed,
        "cut": packed[:-8],
        "empty": b"",
        "damaged": packed[:60] + b"\xff" * 9 + packed[69:],
        "endless": zlib.compress(bytes(1 << 24)),
    }.items():
        told = [f"CompressedDataSize = {len(voxels)}", "CompressedData = True"]
        for entries in (told, told[1:]):
            compressed = [*MHA[:4], *entries, *MHA[5:]]
            if ending == ".mha":
                yield f"compressed, {what}, with {entries}", whole(compressed, voxels)


def whole(lines: list[str] | tuple[str, ...], voxels: bytes = VOXELS.tobytes()) -> bytes:
    """A file of header lines and voxels."""
    end = "\n\n" if "NRRD" in lines[0] else "\n"
    return ("\n".join(lines) + end).encode() + voxels
