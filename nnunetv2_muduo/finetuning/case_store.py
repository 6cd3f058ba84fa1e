"""Cases as a teacher is trained on them, on disk: oriented, no finer than needed, compressed, read box by box."""

import json
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast, overload

import blosc2
import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from nnunetv2_muduo.datasets.image_stamp import image_stamp
from nnunetv2_muduo.datasets.plausibility import intensity_warnings
from nnunetv2_muduo.datasets.scan_io import check_same_grid, read_image, read_label_map
from nnunetv2_muduo.files import replacing, write_text
from nnunetv2_muduo.finetuning.arrays import at_least_spaced, label_array, raw_array
from nnunetv2_muduo.finetuning.sources import CaseSource
from nnunetv2_muduo.json_files import table_or_nothing
from nnunetv2_muduo.stored_arrays import is_whole_array, read_part
from nnunetv2_muduo.teachers.crops import TrainingCase

FORMAT = 1  # raise it when what is stored changes, so that everything is stored anew
_CHUNK_EDGE = 64  # of the boxes that are compressed one by one
# of blosc2: cases are stored side by side, and its threads do not survive forks; some versions write into what they get
_THREADS = {"nthreads": 1}


class _StoredArray:
    """An array in a file, of which is read what is sliced out; UserError names the file where that is damaged."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._array = blosc2.open(str(file), mode="r", dparams=dict(_THREADS))

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    def __getitem__(self, part: Any) -> np.ndarray:
        remedy = "delete it and run the same command again, which stores its case again"
        return read_part(self._array, part, self._file, remedy=remedy)


class StoredCases(Sequence[TrainingCase]):
    """Cases in a folder, opened when they are asked for; their arrays read from disk what is sliced out of them."""

    def __init__(self, folder: Path, sources: Sequence[CaseSource]) -> None:
        self.folder = folder
        self.sources = tuple(sources)

    def __len__(self) -> int:
        return len(self.sources)

    @overload
    def __getitem__(self, index: int) -> TrainingCase: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[TrainingCase]: ...
    def __getitem__(self, index: int | slice) -> TrainingCase | Sequence[TrainingCase]:
        if isinstance(index, slice):
            return StoredCases(self.folder, self.sources[index])
        source = self.sources[index]
        image, labels, record = _files(self.folder, source)
        z, y, x = json.loads(record.read_text(encoding="utf-8"))["spacing_in_mm"]
        return TrainingCase(
            cast(np.ndarray, _StoredArray(image)),
            cast(np.ndarray, _StoredArray(labels)),
            (z, y, x),
            source.low_quality,
        )


def store_cases(
    sources: Sequence[CaseSource],
    folder: Path,
    *,
    tables: Mapping[str, dict[int, int]],
    modality: str,
    orientation: str,
    spacing_in_mm: float,
    workers: int = 2,
    progress: bool = True,
) -> StoredCases:
    """Store what is missing or no longer what its files would give; each takes a few times its size in memory.

    Args:
        sources: the cases.
        folder: where they go.
        tables: dataset -> value in the file -> value stored.
        modality: "CT" or "PET", what the images should hold; intensities that do not look like it are warned of.
        orientation: the teacher's.
        spacing_in_mm: the finest spacing that is of any use; finer axes are coarsened to it.
        workers: cases in work at the same time.
        progress: show a progress bar.

    Raises:
        UserError: naming the file that cannot be used.
    """

    def store(source: CaseSource) -> None:
        table = tables[source.dataset]
        store_case(source, folder, table=table, modality=modality, orientation=orientation, spacing_in_mm=spacing_in_mm)

    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        waiting = [pool.submit(store, source) for source in sources]
        try:
            for done in tqdm(waiting, desc="cases", unit="case", disable=not progress):
                done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return StoredCases(folder, sources)


def store_case(
    source: CaseSource, folder: Path, *, table: dict[int, int], modality: str, orientation: str, spacing_in_mm: float
) -> None:
    """Store one case, unless it is there already; see `store_cases`."""
    image_file, labels_file, record_file = _files(folder, source)
    made_from = {
        "format": FORMAT,
        "files": [image_stamp(file) for file in (source.image, source.labels)],
        "table": {str(value): stored for value, stored in sorted(table.items())},
        "orientation": orientation,
        "finest_spacing_in_mm": spacing_in_mm,
    }
    if _recorded(record_file) == made_from and _fit_together(image_file, labels_file):
        return
    record_file.unlink(missing_ok=True)
    read = read_image(source.image), read_label_map(source.labels)
    image, labels = (sitk.DICOMOrient(volume, orientation) for volume in read)
    check_same_grid(labels, image, names=(source.labels, source.image))
    for warning in intensity_warnings(sitk.GetArrayViewFromImage(image), modality=modality):
        tqdm.write(f"WARNING: {source.name}: {warning}")
    image = at_least_spaced(image, spacing_in_mm, is_labels=False)
    labels = at_least_spaced(labels, spacing_in_mm, is_labels=True)
    _write(raw_array(image, source.image), image_file)
    _write(label_array(labels, table, source.labels), labels_file)
    spacing = [float(length) for length in reversed(image.GetSpacing())]
    write_text(record_file, json.dumps({"made_from": made_from, "spacing_in_mm": spacing}, indent=2) + "\n")


def _files(folder: Path, source: CaseSource) -> tuple[Path, Path, Path]:
    """Image, labels and record; the record is written last."""
    return tuple(folder / f"{source.name}{ending}" for ending in (".image.b2nd", ".labels.b2nd", ".json"))  # type: ignore[return-value]


def _fit_together(image_file: Path, labels_file: Path) -> bool:
    """Whether both are whole, of the types that are stored, and of one shape; what they hold is read part by part."""
    if not (is_whole_array(image_file) and is_whole_array(labels_file)):
        return False
    image, labels = (blosc2.open(str(file), mode="r") for file in (image_file, labels_file))
    types = [getattr(array, "dtype", None) for array in (image, labels)]  # of what is no array there is none
    return types == [np.float16, np.uint8] and image.ndim == 3 and image.shape == labels.shape


def _recorded(record: Path) -> Any:
    """What a case was stored from; None where the record is missing or damaged."""
    told = table_or_nothing(record)
    spacing = told.get("spacing_in_mm")
    is_whole = isinstance(spacing, list) and len(spacing) == 3 and all(map(_is_length, spacing))
    return told.get("made_from") if is_whole else None


def _is_length(edge: Any) -> bool:
    return isinstance(edge, float) and 0 < edge < math.inf


def _write(array: np.ndarray, path: Path) -> None:
    chunks = tuple(min(_CHUNK_EDGE, length) for length in array.shape)
    with replacing(path) as partial:
        partial.unlink(missing_ok=True)
        blosc2.asarray(
            np.ascontiguousarray(array), chunks=chunks, urlpath=str(partial), mode="w", cparams=dict(_THREADS)
        )
