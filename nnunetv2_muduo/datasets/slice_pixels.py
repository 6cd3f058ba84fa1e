"""Whether DICOM slices hold all voxels that they promise: for missing ones ITK delivers whatever the memory held."""

import re
from collections.abc import Sequence
from math import prod
from pathlib import Path

from nnunetv2_muduo.errors import UserError

BITS = "0028|0100"  # tag: allocated for each voxel
_META_IN_BYTES = 4096  # in which the transfer syntax is told
_SYNTAX = re.compile(rb"\x02\x00\x10\x00UI..([\d.]+)", re.DOTALL)
_UNCOMPRESSED = (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.1")  # little endian, without and with kinds of values
_PIXELS = re.compile(rb"\xe0\x7f\x10\x00(?:O[BW]\x00\x00)?(.{4})", re.DOTALL)


def check_pixels(files: Sequence[str], *, size: Sequence[int], bits: Sequence[str]) -> None:
    """Refuse a series with a slice of fewer voxels than rows and columns ask for.

    Args:
        files: of the slices.
        size: columns and rows of each.
        bits: what the tag `BITS` says in each.

    Raises:
        UserError: naming the first such file.
    """
    for file, allocated in zip(files, bits, strict=True):
        given = _pixels_in_bytes(Path(file).read_bytes())
        promised = prod(size) * int(allocated) // 8 if allocated.isdecimal() else 0
        if given is not None and given < promised:
            raise UserError(
                f"{file} holds {given} bytes of voxels, and {promised} were promised; copy the series again."
            )


def _pixels_in_bytes(content: bytes) -> int | None:
    """How many bytes of uncompressed voxels a file holds; None where that cannot be told.

    An icon, which some files hold, too, is smaller than the slice.
    """
    syntax = _SYNTAX.search(content, 0, _META_IN_BYTES)
    if syntax is None or syntax[1] not in _UNCOMPRESSED:
        return None
    found = ((place.end(), int.from_bytes(place[1], "little")) for place in _PIXELS.finditer(content))
    return max((length for end, length in found if end + length <= len(content)), default=None)
