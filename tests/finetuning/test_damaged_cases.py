"""Stored cases of which anything is damaged are stored again, or told of by the file's name when they are read."""

import json
from collections.abc import Callable
from pathlib import Path

import blosc2
import numpy as np
import pytest
import torch
from mutated_documents import mutated_documents
from phantom_datasets import write_dataset

from nnunetv2_muduo.errors import UserError
from nnunetv2_muduo.finetuning.case_store import StoredCases, store_cases
from nnunetv2_muduo.finetuning.sources import labelled_cases
from nnunetv2_muduo.teachers.crops import CropSampler, CropSettings

DATASET_JSON = {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz"}


class Stored:
    """One case: where its files are, and what is in them."""

    def __init__(self, raw: Path, folder: Path) -> None:
        write_dataset(raw, "Dataset301_Good", cases=1)
        self.source, *_ = labelled_cases("Dataset301_Good", DATASET_JSON, modality="CT")
        self.folder = folder
        self.before = self.read(self.again())

    @property
    def record(self) -> Path:
        return self.file(".json")

    def file(self, ending: str) -> Path:
        return self.folder / f"{self.source.name}{ending}"

    def again(self) -> StoredCases:
        tables = {self.source.dataset: {0: 0, 1: 1, 2: 2}}
        options = {"modality": "CT", "orientation": "LPS", "spacing_in_mm": 1.0}
        return store_cases([self.source], self.folder, tables=tables, progress=False, **options)

    def read(self, cases: StoredCases) -> list:
        return [cases[0].image[...].tolist(), cases[0].labels[...].tolist(), cases[0].spacing_in_mm]

    def change(self, ending: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
        changed = change(blosc2.open(str(self.file(ending)))[...])
        self.file(ending).unlink()
        blosc2.asarray(np.ascontiguousarray(changed), urlpath=str(self.file(ending)), mode="w")


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stored:
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return Stored(tmp_path / "raw", tmp_path / "cases")


def test_a_record_that_is_another_in_one_entry_is_not_believed(stored: Stored):
    """Whether a spacing that could be one is right, it alone tells."""
    record = json.loads(stored.record.read_text())
    made_from = json.dumps(record["made_from"])
    for how, text in mutated_documents(record | {"made_from": "all of it"}):
        whole = text.replace('"all of it"', made_from)
        stored.record.write_text(whole, encoding="utf-8", errors="surrogatepass")
        *arrays, spacing = stored.read(stored.again())
        assert arrays == stored.before[:-1], how
        assert spacing == stored.before[-1] or (how.startswith("spacing_in_mm.") and min(spacing) > 0), how


@pytest.mark.parametrize("ending", [".image.b2nd", ".labels.b2nd"])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: array.astype(np.float64),
        lambda array: array.astype(np.int16),
        lambda array: array.astype(bool),
        lambda array: array[1:],
        lambda array: array.transpose(2, 1, 0),
        lambda array: array.ravel(),
        lambda array: array[None],
    ],
)
def test_arrays_of_other_types_and_shapes_are_stored_again(stored: Stored, ending: str, change):
    stored.change(ending, change)
    assert stored.read(stored.again()) == stored.before


@pytest.mark.parametrize("ending", [".image.b2nd", ".labels.b2nd", ".json"])
def test_files_that_are_missing_or_cut_short_anywhere_are_stored_again(stored: Stored, ending: str):
    whole = stored.file(ending).read_bytes()
    stored.file(ending).unlink()
    assert stored.read(stored.again()) == stored.before
    for length in range(0, len(whole), max(1, len(whole) // 20)):
        stored.file(ending).write_bytes(whole[:length])
        assert stored.read(stored.again()) == stored.before, length


def test_what_is_no_array_is_stored_again(stored: Stored):
    stored.file(".image.b2nd").unlink()
    blosc2.SChunk(data=bytes(100), urlpath=str(stored.file(".image.b2nd")), mode="w")
    assert stored.read(stored.again()) == stored.before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_nan_spoils_no_teacher(stored: Stored, value: float):
    stored.change(".image.b2nd", lambda array: np.where(np.arange(array.size).reshape(array.shape) == 50, value, array))
    stored.change(".image.b2nd", lambda array: array.astype(np.float16))
    with pytest.raises(UserError, match=r"case0\.image\.b2nd is damaged \(it holds NaN.*run the same command again"):
        stored.read(stored.again())


@pytest.mark.parametrize("ending", [".image.b2nd", ".labels.b2nd"])
def test_what_cannot_be_decompressed_is_told_by_its_file_before_or_while_training(stored: Stored, ending: str):
    rng = np.random.default_rng(0)
    stored.change(ending, lambda array: rng.choice([0, 0, 0, 1, 2], array.shape).astype(array.dtype))
    content = bytearray(stored.file(ending).read_bytes())
    content[300:-400] = b"\xff" * len(content[300:-400])
    stored.file(ending).write_bytes(content)
    settings, generator = CropSettings(size=8), torch.Generator()
    with pytest.raises(UserError, match=rf"case0\{ending} is damaged"):
        CropSampler(stored.again(), targets={"all": (1, 2)}, settings=settings).draw(2, 1, generator=generator)
