"""Every NIfTI file that differs from a valid one in one field of its header, and some that differ in their affines."""

import struct
from collections.abc import Iterator

import nibabel
import numpy as np

AFFINE = np.array([[-2.0, 0, 0, 10], [0, 0, 4, -20], [0, 3, 0, -30], [0, 0, 0, 1]])  # voxels to RAS mm, slices coronal
FORMS = ((1, 1), (0, 1), (1, 0), (2, 1), (0, 0))  # codes of qform and sform; 0: not there
_SHORT, _FLOAT = (
    (0, -1, 1, 2, 3, 4, 5, 8, 300, 32767, -32768),
    (0.0, -1.0, 1.0, 2.5, float("nan"), float("inf"), -float("inf"), 1e-38, 1e30, -1e30, 353.0, 348.0),
)
_TYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 999)
_FIELDS = (
    *((f"dim[{axis}]", 40 + 2 * axis, "h", _SHORT) for axis in range(8)),
    ("datatype", 70, "h", _TYPES),
    ("bitpix", 72, "h", _SHORT),
    *((f"pixdim[{axis}]", 76 + 4 * axis, "f", _FLOAT) for axis in range(8)),
    ("vox_offset", 108, "f", _FLOAT),
    ("scl_slope", 112, "f", _FLOAT),
    ("scl_inter", 116, "f", _FLOAT),
    ("xyzt_units", 123, "b", (0, 1, 2, 3, 8, 127)),
    ("qform_code", 252, "h", _SHORT),
    ("sform_code", 254, "h", _SHORT),
    *((f"quatern_{axis}", 256 + 4 * at, "f", _FLOAT) for at, axis in enumerate("bcd")),
    *((f"qoffset_{axis}", 268 + 4 * at, "f", _FLOAT) for at, axis in enumerate("xyz")),
    *((f"srow[{at}]", 280 + 4 * at, "f", _FLOAT) for at in range(12)),
    ("sizeof_hdr", 0, "i", (0, -1, 540, 2**31 - 1, 1543569408)),
    ("magic", 344, "4s", (b"ni1\0", b"n+2\0", b"\0\0\0\0", b"\xff\xff\xff\xff")),
)


def valid_nifti(*, codes: tuple[int, int] = (1, 1), order: str = "<", kind: type = np.int16) -> bytes:
    """An uncompressed file of 6 x 5 x 4 voxels on `AFFINE`, with the values 0, 1, 2 and so on.

    Args:
        codes: of qform and sform.
        order: of the bytes: "<" or ">".
        kind: of its voxels.
    """
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(kind).newbyteorder(order))
    image = nibabel.Nifti1Image(np.arange(120).reshape(6, 5, 4).astype(kind), AFFINE, header)
    for set_form, code in zip((image.set_qform, image.set_sform), codes, strict=True):
        set_form(AFFINE, code)
    return image.to_bytes()


def mutated_nifti(valid: bytes, *, order: str = "<") -> Iterator[tuple[str, bytes]]:
    """(what was done, the file), field by field."""
    for name, place, kind, values in _FIELDS:
        for value in values:
            changed = bytearray(valid)
            struct.pack_into(order + kind, changed, place, value)
            yield f"{name} is {value!r}", bytes(changed)
    for slope in _FLOAT:
        for intercept in _FLOAT:
            changed = bytearray(valid)
            struct.pack_into(f"{order}2f", changed, 112, slope, intercept)
            yield f"scaled by {slope} and {intercept}", bytes(changed)
    for axes in (2, 4, 5, 7):
        changed = bytearray(valid)
        struct.pack_into(f"{order}8h", changed, 40, axes, 6, 5, 4, 1, 1, 1, 1)
        yield f"{axes} axes", bytes(changed)
    for kind in _TYPES:  # as many bytes as voxels of any kind need
        changed = bytearray(valid[:352])
        struct.pack_into(f"{order}h", changed, 70, kind)
        yield f"kind {kind}, with its bytes", bytes(changed) + bytes(120 * 32)
    for length in (0, 1, 100, 347, 348, 349, 352, 353, len(valid) - 1):
        yield f"cut to {length} bytes", valid[:length]
    yield "more bytes than voxels", valid + bytes(100)
