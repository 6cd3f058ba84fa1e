"""Hash, copy and look into an image in one read of its file."""

import hashlib
import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.datasets.plausibility import (
    LEAST_PEAK_IN_SUV,
    has_only_whole_numbers,
    intensities_of,
    warnings_about,
)
from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.harmonising.air import told_of_filling

_BLOCK_IN_BYTES = 1 << 21
_BLOCKS = 8  # read and hashed ahead of their writing: waiting for a thread after each takes long where cores are busy
_FETCHED_IN_BYTES = 1 << 24
_DECOMPRESSED_IN_BYTES = 1 << 19  # at a time; little, as the first slices are often all that is wanted
_FEWEST_SLICES = 4
_STEP = 4  # along the axes of a slice
_NO_NOISE_IN_SUV = 30.0  # slices in which something exceeds it may show brain or bladder, or the noise of air in Bq/ml
_AIR_IN_HU = -200.0


@dataclass(frozen=True)
class ReadImage:
    """What one read of a file told.

    Attributes:
        sha256: of the file as it is, in hexadecimal digits.
        warnings: what looks wrong about the intensities.
    """

    sha256: str
    warnings: tuple[str, ...]


def read_once(source: Path, *, modality: str, copy_to: Path | None = None, every_voxel: bool = False) -> ReadImage:
    """Read a .nii.gz file once: hash it, look into it and, where asked, copy it.

    Decompressing is slower than any disk, so only the first slices are looked into: at least 4, and on until they show
    air (CT), or uptake that some organ of every patient has and fractions (PET), which decides about units, mixed-up
    channels and scaled images. A PET whose first slices show more than uptake usually is (30) is looked at whole: it
    may be in Bq/ml, with air in its first slices.

    Args:
        source: file with one 3d image.
        modality: "CT" (HU expected) or "PET" (SUV expected).
        copy_to: place of the copy; its folder must exist.
        every_voxel: look into all slices, which also tells damaged data and voxels that are not finite.

    Raises:
        UserError: if the data are damaged, not finite or the same everywhere, as far as they were looked into.
        OSError: if reading or writing fails.
    """
    looking = _Looking(source, modality, every_voxel=every_voxel)
    digest = hashlib.sha256()
    with ExitStack() as stack:
        stream = stack.enter_context(source.open("rb", buffering=0))
        copy = None if copy_to is None else stack.enter_context(copy_to.open("wb", buffering=0))
        writer = stack.enter_context(ThreadPoolExecutor(1))
        rooms = [memoryview(bytearray(_BLOCK_IN_BYTES)) for _ in range(_BLOCKS)]  # used again: new memory costs much
        being_written: deque[Future[None]] = deque()
        for room in cycle(rooms):
            if len(being_written) == _BLOCKS:  # the oldest is in this room
                being_written.popleft().result()
            if not (block := room[: _read_on(stream, room)]):
                break
            if copy is not None:
                being_written.append(writer.submit(_write_all, copy, block))
            digest.update(block)  # hashing and writing leave Python's lock to each other
            looking.feed(block)
        for written in being_written:
            written.result()
    return ReadImage(digest.hexdigest(), tuple(looking.finish()))


def _read_on(stream: Any, room: memoryview) -> int:
    """Read the next block, and have the system fetch what comes after it meanwhile; its length, 0 at the end."""
    length = stream.readinto(room)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(stream.fileno(), stream.tell(), _FETCHED_IN_BYTES, os.POSIX_FADV_WILLNEED)
    return length


def _write_all(stream: Any, block: memoryview) -> None:
    while block:
        block = block[stream.write(block) :]


@dataclass
class _Looking:
    """Slices of a compressed image as they come, in the order of the file."""

    source: Path
    modality: str
    every_voxel: bool
    _seen: int = 0
    _lowest: float = np.inf
    _highest: float = -np.inf
    _peak: float = -np.inf  # of all voxels of the slices, not of the sample; an organ of a small image is few voxels
    _are_whole_numbers: bool = True
    _samples: list[NDArray[np.float32]] = field(default_factory=list)
    _rest: bytearray = field(default_factory=bytearray)
    _done: bool = False
    _is_behind_a_part: bool = False  # of several gzip streams, or of one: padding may follow, or the next

    def __post_init__(self) -> None:
        try:
            image: Any = nibabel.load(self.source)
        except Exception as error:  # nibabel raises many kinds of errors
            raise UserError(f"{self.source.name} is no NIfTI image ({error}); copy it again") from error
        width, height, self._slices = image.shape[:3]
        self._shape = (height, width)
        self._type = image.header.get_data_dtype()
        self._slope, self._intercept = image.dataobj.slope, image.dataobj.inter
        self._to_skip = int(image.dataobj.offset)
        self._gzip = zlib.decompressobj(wbits=31)

    def feed(self, block: bytes | memoryview) -> None:
        """The next block of the file."""
        while block and not self._done:
            if self._is_behind_a_part:
                block = bytes(block).lstrip(b"\0")  # tapes and archives fill up their blocks
                if not block:
                    return
                self._gzip, self._is_behind_a_part = zlib.decompressobj(wbits=31), False
            try:
                self._rest += self._gzip.decompress(block, _DECOMPRESSED_IN_BYTES)
            except zlib.error as error:
                raise UserError(f"{self.source.name} is damaged ({error}); copy it again") from error
            block = self._gzip.unconsumed_tail
            if self._gzip.eof:  # several parts, as bgzip writes them
                block, self._is_behind_a_part = self._gzip.unused_data, True
            self._take_slices()

    def finish(self) -> list[str]:
        """What looks wrong; all blocks have been fed."""
        if self._lowest == self._highest:
            raise UserError(f"the {self.modality} {self.source.name} is {self._lowest:g} everywhere")
        if not self._samples or (self.every_voxel and self._seen < self._slices):
            raise UserError(f"{self.source.name} is truncated; copy it again")
        seen_all = self._seen >= self._slices
        seen = intensities_of(np.concatenate(self._samples), highest=self._peak, of_all_slices=seen_all)
        told = told_of_filling(self._lowest) if self.modality == "CT" else ""
        return [*warnings_about(seen, modality=self.modality), *([told] if told else [])]

    def _take_slices(self) -> None:
        skipped = min(self._to_skip, len(self._rest))
        del self._rest[:skipped]
        self._to_skip -= skipped
        length = self._shape[0] * self._shape[1] * self._type.itemsize
        while self._to_skip == 0 and len(self._rest) >= length and self._seen < self._slices and not self._done:
            self._look_at(np.frombuffer(bytes(self._rest[:length]), self._type).reshape(self._shape))
            del self._rest[:length]
        if self._seen == self._slices:
            self._rest.clear()  # what follows the voxels is decompressed for its checksum alone

    def _look_at(self, stored: NDArray) -> None:
        """A slice [Y, X]."""
        if stored.dtype.kind == "f" and not np.isfinite(stored).all():
            raise UserError(f"voxels of the {self.modality} {self.source.name} are NaN or infinite")
        sample = stored[::_STEP, ::_STEP].astype(np.float32) * self._slope + self._intercept
        self._samples.append(sample.ravel())
        self._lowest, self._highest = min(self._lowest, sample.min()), max(self._highest, sample.max())
        self._seen += 1
        if self.modality == "PET":
            ends = (float(end) * self._slope + self._intercept for end in (stored.min(), stored.max()))
            self._peak = max(self._peak, *ends)  # a factor may be negative
            self._are_whole_numbers = self._are_whole_numbers and has_only_whole_numbers(sample)
            has_uptake = self._peak >= LEAST_PEAK_IN_SUV and not self._are_whole_numbers
            tells = has_uptake and self._highest <= _NO_NOISE_IN_SUV
        else:
            tells = self._lowest <= _AIR_IN_HU
        varies = self._lowest < self._highest
        self._done = not self.every_voxel and self._seen >= _FEWEST_SLICES and bool(tells and varies)
        if self._done:
            self._rest.clear()
