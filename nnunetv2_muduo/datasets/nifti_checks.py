"""What SimpleITK hides in NIfTI files: what is missing or not finite becomes zero, without a word."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

_CHUNK_IN_BYTES = 1 << 24
_LEAST_IN_BYTES = {".nii": 348, ".nii.gz": 20}  # a header; the shortest gzip file, which holds nothing
_BEGINS = {".nii": (348).to_bytes(4, "little"), ".nii.gz": b"\x1f\x8b"}


def is_truncated_nifti(file: Path) -> bool:
    """Whether a .nii or .nii.gz file holds fewer bytes than its header promises.

    The length of compressed data is read from the last four bytes of the file; only where that does not fit the header
    the file is decompressed to count. Files of other formats, and what is no NIfTI file at all, are left to their
    readers, which complain by themselves: False.
    """
    if _is_too_short(file):
        return True
    image = _load_header(file)
    if image is None:
        return file.name.endswith(".nii.gz") and _breaks_off(file)  # ITK fills up even what ends behind the header
    promised = image.dataobj.offset + int(np.prod(image.shape)) * image.get_data_dtype().itemsize
    if file.name.endswith(".gz"):
        return _claimed_length(file) != promised % 2**32 and _decompressed_length(file, enough=promised) < promised
    return file.stat().st_size < promised


def is_whole_image(file: Path) -> bool:
    """Whether a file is there, not empty and, where it is NIfTI, not cut short; its voxels are not looked at."""
    return file.is_file() and file.stat().st_size > 0 and not is_truncated_nifti(file)


def count_non_finite_in_nifti(file: Path) -> int:
    """How many voxels of a whole .nii or .nii.gz file are NaN or infinite; 0 for files of other formats."""
    image = _load_header(file)
    if image is None or image.get_data_dtype().kind != "f":
        return 0
    stored = np.asanyarray(image.dataobj.get_unscaled())
    return int(stored.size - np.count_nonzero(np.isfinite(stored)))


def _is_too_short(file: Path) -> bool:
    """Whether a file begins as what its name says and ends before a header, or an empty gzip file, could."""
    ending = next((ending for ending in _BEGINS if file.name.endswith(ending)), None)
    if ending is None or not file.is_file() or not 0 < file.stat().st_size < _LEAST_IN_BYTES[ending]:
        return False  # an empty file is its reader's business
    begin = file.read_bytes()[: len(_BEGINS[ending])]
    return _BEGINS[ending].startswith(begin)


def _load_header(file: Path) -> Any:
    """The file opened by nibabel, no voxels read; None for what nibabel cannot open."""
    if not file.name.endswith((".nii", ".nii.gz")):
        return None
    try:
        return nibabel.load(file)
    except Exception:  # nibabel raises many kinds of errors
        return None


def _claimed_length(file: Path) -> int:
    """The length a gzip file ends with, modulo 2**32; of its last part only, should it consist of several."""
    with file.open("rb") as stream:
        stream.seek(-4, 2)
        return int.from_bytes(stream.read(4), "little")


def _breaks_off(file: Path) -> bool:
    try:
        with gzip.open(file) as stream:
            while stream.read(_CHUNK_IN_BYTES):
                pass
    except EOFError:
        return True
    except (OSError, zlib.error):
        pass  # no gzip file, or damaged: its reader complains
    return False


def _decompressed_length(file: Path, *, enough: int) -> int:
    """How many bytes a file holds; not counted much beyond `enough`, as few bytes may become any number."""
    length = 0
    try:
        with gzip.open(file) as stream:
            while length < enough and (chunk := stream.read(_CHUNK_IN_BYTES)):
                length += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        pass  # what came before the break is counted
    return length
