"""One case of the teacher cache on the disk: a folder that is written aside and renamed when it is whole."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from numpy.typing import NDArray

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.files import private_folder, systems_reason
from nnunetv2_muduo.json_files import read_table
from nnunetv2_muduo.nnunet_files import is_plain_name
from nnunetv2_muduo.stored_arrays import is_whole_array
from nnunetv2_muduo.teacher_cache.evidence import TileLayout

_RECORD = "cache.json"  # fingerprint, centres and names of the arrays
_MMAP = {} if os.name == "nt" else {"mmap_mode": "r"}  # as nnU-Net: Windows cannot
_FARTHEST = 1 << 31  # of a voxel along an axis
_COMPRESSION = {"codec": blosc2.Codec.ZSTD, "clevel": 3, "filters": [blosc2.Filter.BITSHUFFLE], "nthreads": 1}


class CachedCase:
    """Reads tiles of a case.

    Args:
        folder: of the case, see `writing_case`.

    Attributes:
        centres: [T, 3] (z, y, x) voxels of the preprocessed scan.
        made_from: see `writing_case`; empty where nothing was told.

    Raises:
        UserError: where no whole case lies, or its record is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        record = _record_of(folder)
        self.fingerprint: str = record["fingerprint"]
        self.centres: NDArray[np.int32] = np.array(record["centres"], dtype=np.int32).reshape(-1, 3)
        self.made_from: dict = record.get("made_from", {})
        self._names: list[str] = record["arrays"]

    def __len__(self) -> int:
        return len(self.centres)

    def tile(self, index: int) -> dict[str, NDArray]:
        """Name -> array of one tile, see `TileLayout`.

        Raises:
            UserError: naming the folder, where a tile cannot be decompressed.
        """
        try:
            return {name: self._open(name)[index] for name in self._names}
        except RuntimeError as error:  # blosc2's
            raise UserError(
                f"{self._folder} is damaged ({error}); delete it and continue with nnUNetv2_train ... --c, which "
                "computes this case of the teacher cache again."
            ) from error

    def fits(self, layout: TileLayout) -> bool:
        """Whether the arrays have the layout's names and shapes, and a tile for each centre."""
        found = {name: self._open(name).shape for name in self._names}
        return found == {name: (len(self), *shape) for name, (shape, _) in layout.arrays.items()}

    def size_in_bytes(self) -> int:
        """On the disk."""
        return sum(file.stat().st_size for file in self._folder.iterdir())

    def _open(self, name: str) -> blosc2.NDArray:
        return blosc2.open(urlpath=str(_array_file(self._folder, name)), mode="r", dparams={"nthreads": 1}, **_MMAP)


class CaseWriter:
    """Fills a case tile by tile."""

    def __init__(self, folder: Path, layout: TileLayout, tiles: int) -> None:
        self._arrays = {
            name: blosc2.empty(
                (tiles, *shape),
                dtype=kind,
                chunks=(1, *shape),
                urlpath=str(_array_file(folder, name)),
                mode="w",
                cparams=_COMPRESSION,
            )
            for name, (shape, kind) in layout.arrays.items()
        }

    def write(self, index: int, arrays: Mapping[str, NDArray]) -> None:
        """Store one tile."""
        for name, values in arrays.items():
            self._arrays[name][index] = values


@contextmanager
def writing_case(
    folder: Path,
    layout: TileLayout,
    *,
    centres: NDArray[np.int32],
    fingerprint: str,
    made_from: Mapping | None = None,
) -> Iterator[CaseWriter]:
    """Yields what writes the tiles of a case; on success the case is put in place of what was there, whole.

    Args:
        folder: of the case; its parent is made.
        layout: of its tiles.
        centres: [T, 3] of its tiles.
        fingerprint: of all it was made from.
        made_from: what of that can be told without loading a teacher, for those who only look.
    """
    with systems_reason(folder), private_folder(folder.parent) as private:
        partial = private / folder.name
        partial.mkdir()
        yield CaseWriter(partial, layout, len(centres))
        record = {"fingerprint": fingerprint, "centres": centres.tolist(), "arrays": list(layout.arrays)}
        record["made_from"] = dict(made_from or {})
        (partial / _RECORD).write_text(json.dumps(record), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)


def _record_of(folder: Path) -> dict:
    """What a whole case's record says.

    Raises:
        UserError: where there is none, or it is damaged.
    """
    record = read_table(folder / _RECORD)
    names, centres = record.get("arrays"), record.get("centres")
    if not (
        isinstance(record.get("fingerprint"), str)
        and isinstance(record.get("made_from", {}), dict)
        and isinstance(names, list)
        and all(map(is_plain_name, names))
        and isinstance(centres, list)
        and all(map(_is_centre, centres))
    ):
        raise UserError(f"{folder / _RECORD} is damaged; delete its folder.")
    return record


def _is_centre(value: Any) -> bool:
    """Whether it is (z, y, x) of a voxel."""
    return isinstance(value, list) and len(value) == 3 and all(type(n) is int and abs(n) < _FARTHEST for n in value)


def is_cached(folder: Path, fingerprint: str, layout: TileLayout | None = None) -> bool:
    """Whether the folder holds a whole case made from just these things, and laid out so where that is known."""
    try:
        case = CachedCase(folder)
    except UserError:
        return False
    is_whole = all(is_whole_array(_array_file(folder, name)) for name in case._names)
    return case.fingerprint == fingerprint and is_whole and (layout is None or case.fits(layout))


def _array_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.b2nd"
