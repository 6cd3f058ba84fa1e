"""Whether DICOM slices hold all voxels that they promise: for missing ones ITK delivers whatever the memory held."""

import re
from collections import Counter
from collections.abc import Sequence
from math import prod
from pathlib import Path

from nnunetv2_muduo.datasets.slice_tags import dicom_tag
from nnunetv2_muduo.errors import UserError

BITS = "0028|0100"  # tag: allocated for each voxel
_SIZE = "0028|0011", "0028|0010"  # tags: columns and rows
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


def check_unread(files: Sequence[str]) -> None:
    """Say why ITK could not read the slices in these files, where that can be told.

    Raises:
        UserError: for slices of several sizes, and for compression.
        RuntimeError: SimpleITK's, where one of the headers cannot be read either.
    """
    folder, sizes = Path(files[0]).parent, [tuple(dicom_tag(file, tag) for tag in _SIZE) for file in files]
    (usual, number), *others = Counter(sizes).most_common()
    if others:
        other = others[0][0]
        raise UserError(
            f"{len(files) - number} of the {len(files)} DICOM slices of {folder} have another size than the others, "
            f"such as {Path(files[sizes.index(other)]).name} with {' x '.join(other)} voxels instead of "
            f"{' x '.join(usual)}, as localisers and pages of reports have; keep the slices of one volume alone in the "
            "folder."
        )
    packed = {syntax.decode() for syntax in map(_syntax, map(_begin, files)) if syntax not in (None, *_UNCOMPRESSED)}
    if packed:
        raise UserError(
            f"The DICOM slices of {folder} are damaged, or compressed in a way that is not known here (transfer syntax "
            f"{', '.join(sorted(packed))}); export the series again, uncompressed."
        )


def _begin(file: str) -> bytes:
    with Path(file).open("rb") as stream:
        return stream.read(_META_IN_BYTES)


def _syntax(content: bytes) -> bytes | None:
    """The UID of the transfer syntax that a file is written in; None where it does not say."""
    found = _SYNTAX.search(content, 0, _META_IN_BYTES)
    return None if found is None else found[1]


def _pixels_in_bytes(content: bytes) -> int | None:
    """How many bytes of uncompressed voxels a file holds; None where that cannot be told.

    An icon, which some files hold, too, is smaller than the slice.
    """
    if _syntax(content) not in _UNCOMPRESSED:
        return None
    found = ((place.end(), int.from_bytes(place[1], "little")) for place in _PIXELS.finditer(content))
    return max((length for end, length in found if end + length <= len(content)), default=None)
