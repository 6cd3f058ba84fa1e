"""NIfTI files whose header lies, whose data are cut short, or that are something else altogether."""

import gzip
import io
import struct
from pathlib import Path
from random import Random

import nibabel
import numpy as np
from damaged_bytes import damaged_bytes

_HEADER = 348  # bytes of a NIfTI-1 header
_DIM, _DATATYPE, _BITPIX, _PIXDIM, _OFFSET, _SLOPE, _CODES, _QUATERNION, _ROWS, _MAGIC = (
    40,
    70,
    72,
    76,
    108,
    112,
    252,
    256,
    280,
    344,
)
_LENGTHS = (0, -1, 1, 2, 3, 32767, -32768, 1000)
_NUMBERS = (0.0, -1.0, float("nan"), float("inf"), 1e-38, 1e30, -1e30, 1e-6)
_TYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 999)


def damage_nifti_file(file: Path, rng: Random) -> str:
    """Damage a .nii.gz file where it lies; returns what was done."""
    way = rng.random()
    if way < 0.15:
        changed, how = damaged_bytes(file.read_bytes(), rng)
        file.write_bytes(changed)
        return f"compressed file: {how}"
    if way < 0.25:
        return _something_else(file, rng)
    image = bytearray(gzip.decompress(file.read_bytes()))
    how = rng.choice(_WAYS)(image, rng)
    file.write_bytes(gzip.compress(bytes(image), compresslevel=1))
    return how


def _flips(image: bytearray, rng: Random) -> str:
    number = rng.choice([1, 3, 10, 60])
    places = sorted(rng.randrange(_HEADER) for _ in range(number))
    for place in places:
        image[place] ^= rng.randrange(1, 256)
    return f"{number} byte(s) of the header changed, the first at {places[0]}"


def _dimensions(image: bytearray, rng: Random) -> str:
    axis, length = rng.randrange(8), rng.choice(_LENGTHS)
    struct.pack_into("<h", image, _DIM + 2 * axis, length)
    if rng.random() < 0.3:
        for other in range(1, 8):
            struct.pack_into("<h", image, _DIM + 2 * other, length)
        return f"all dim are {length}"
    return f"dim[{axis}] is {length}"


def _number_of_axes(image: bytearray, rng: Random) -> str:
    axes = rng.choice([1, 2, 4, 5, 7])
    struct.pack_into("<h", image, _DIM, axes)
    if axes > 3:
        for axis in range(4, axes + 1):
            struct.pack_into("<h", image, _DIM + 2 * axis, rng.choice([1, 2, 3]))
    return f"an image of {axes} axes"


def _spacing(image: bytearray, rng: Random) -> str:
    axis, length = rng.randrange(4), rng.choice(_NUMBERS)
    struct.pack_into("<f", image, _PIXDIM + 4 * axis, length)
    return f"pixdim[{axis}] is {length}"


def _type(image: bytearray, rng: Random) -> str:
    kind = rng.choice(_TYPES)
    struct.pack_into("<h", image, _DATATYPE, kind)
    if rng.random() < 0.5:
        struct.pack_into("<h", image, _BITPIX, rng.choice([0, 8, 16, 32, 64, -8]))
    return f"datatype is {kind}"


def _affine(image: bytearray, rng: Random) -> str:
    codes = rng.choice([(0, 1), (1, 0), (2, 2), (0, 0), (9, -3)])
    struct.pack_into("<2h", image, _CODES, *codes)
    rows = rng.choice(
        [
            [0.0] * 12,
            [1.0] * 12,
            [1.0, 0.7, 0, 0, 0, 1, 0.7, 0, 0, 0, 1, 0],
            [float("nan")] * 12,
            [rng.uniform(-5, 5) for _ in range(12)],
            [1e30, 0, 0, 0, 0, 1e30, 0, 0, 0, 0, 1e30, 0],
        ]
    )
    struct.pack_into("<12f", image, _ROWS, *rows)
    if rng.random() < 0.5:
        struct.pack_into("<6f", image, _QUATERNION, *(rng.choice([*_NUMBERS, 0.5, 1.0]) for _ in range(6)))
    return f"codes {codes}, affine from {rows[0]:g}"


def _scaling(image: bytearray, rng: Random) -> str:
    slope, intercept = rng.choice(_NUMBERS), rng.choice(_NUMBERS)
    struct.pack_into("<2f", image, _SLOPE, slope, intercept)
    return f"scaled by {slope} and {intercept}"


def _offset(image: bytearray, rng: Random) -> str:
    offset = rng.choice([0.0, 1.0, 300.0, 353.0, 1e6, 4e9, -352.0, float("nan")])
    struct.pack_into("<f", image, _OFFSET, offset)
    return f"vox_offset is {offset}"


def _magic(image: bytearray, rng: Random) -> str:
    magic = rng.choice([b"ni1\0", b"\0\0\0\0", b"n+2\0", b"n+9\0"])
    image[_MAGIC : _MAGIC + 4] = magic
    return f"magic is {magic!r}"


def _short_data(image: bytearray, rng: Random) -> str:
    left = rng.choice([_HEADER - 1, _HEADER, 352, rng.randrange(1, len(image))])
    del image[left:]
    return f"cut to {left} bytes and compressed whole"


def _wild_voxels(image: bytearray, rng: Random) -> str:
    for _ in range(50):
        place = rng.randrange(352, len(image))
        image[place] = rng.choice([0xFF, 0x7F, 0x80])
    return "wild voxels"


def _extension(image: bytearray, rng: Random) -> str:
    image[348:352] = b"\x01\0\0\0"
    return "announces a header extension that is not there"


def _something_else(file: Path, rng: Random) -> str:
    """In place of the file another thing by its name."""
    kind = rng.choice(["rgb", "folder", "dead link", "text", "bomb", "complex", "twice", "plain", "nifti2"])
    content = file.read_bytes()
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "dead link":
        file.symlink_to(file.with_name("nowhere.nii.gz"))
    elif kind == "text":
        file.write_text("<html>404: the scan you asked for is not here</html>")
    elif kind == "bomb":  # a small image, then 300 MB of zeros
        file.write_bytes(content + gzip.compress(bytes(300 << 20), compresslevel=1))
    elif kind == "twice":
        file.write_bytes(content + content)
    elif kind == "plain":
        file.write_bytes(gzip.decompress(content))
    else:
        file.write_bytes(_other_image(kind))
    return f"{kind} in its place"


def _other_image(kind: str) -> bytes:
    if kind == "rgb":
        voxels = np.zeros((6, 5, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
        image = nibabel.Nifti1Image(voxels, np.eye(4))
    elif kind == "nifti2":
        image = nibabel.Nifti2Image(np.arange(120, dtype=np.int16).reshape(6, 5, 4), np.eye(4))
    else:
        image = nibabel.Nifti1Image(np.ones((6, 5, 4), np.complex64), np.eye(4))
    return gzip.compress(io.BytesIO(image.to_bytes()).getvalue(), compresslevel=1)


_WAYS = (
    _flips,
    _flips,
    _dimensions,
    _dimensions,
    _number_of_axes,
    _spacing,
    _spacing,
    _type,
    _affine,
    _affine,
    _scaling,
    _offset,
    _magic,
    _short_data,
    _wild_voxels,
    _extension,
)
